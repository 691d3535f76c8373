import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp.strategy import FedAvg, FedXgbBagging, Krum, QFedAvg

from conftest import ReadEvents, details_of
from oneflower.local_grid import identity
from oneflower.model_file import read_model
from oneflower.privacy import DELTA, Privacy, gaussian_epsilon
from oneflower.replies import SentArrays
from oneflower.server import Federation
from oneflower.settings import RunConfigError, TrainingSettings
from tiny_nodes import TinyGrid, Train, content, context, moving, start


@pytest.fixture(autouse=True)
def _server() -> Iterator[None]:
    with identity(1, 1):
        yield


# Of the Renyi accountant of Google's dp-accounting 0.6.0 for GaussianDpEvent, at delta 1e-5 and the same orders.
@pytest.mark.parametrize(
    ("noise", "rounds", "epsilon"),
    [
        (1.0, 1, 4.7283870734),
        (1.0, 10, 19.0472596350),
        (2.0, 100, 35.0673424108),
        (0.5, 3, 21.4396051889),
        (5.0, 50, 7.0771973273),
        (10.0, 1, 0.3752612549),
    ],
)
def test_the_budget_is_that_of_a_known_accountant(noise: float, rounds: int, epsilon: float) -> None:
    assert gaussian_epsilon(noise, rounds) == pytest.approx(epsilon, rel=1e-9)
    # The plain bound of Mironov 2017 is above it.
    rate = rounds / noise**2
    assert gaussian_epsilon(noise, rounds) < rate / 2 + math.sqrt(2 * rate * math.log(1 / DELTA))


def test_the_budget_at_the_edges() -> None:
    assert gaussian_epsilon(1.0, 0) == 0
    assert gaussian_epsilon(1e-200, 1) == math.inf
    assert 0 < gaussian_epsilon(1000.0, 1) < 0.01
    assert math.isfinite(gaussian_epsilon(0.01, 100_000))


def replies_of(*arrays: dict[str, Any], examples: int = 1) -> list[Message]:
    def replying(answer: dict[str, Any]) -> Train:
        return lambda _: content(answer, num_examples=examples)

    grid = TinyGrid([replying(answer) for answer in arrays])
    questions = FedAvg(min_available_nodes=1, min_train_nodes=1).configure_train(1, start(), ConfigRecord(), grid)
    return list(grid.send_and_receive(questions))


def arrays_in(reply: Message) -> ArrayRecord:
    return next(iter(reply.content.array_records.values()))


def metrics_in(reply: Message) -> MetricRecord:
    return next(iter(reply.content.metric_records.values()))


def test_updates_longer_than_the_norm_are_shortened_and_others_left() -> None:
    sent = SentArrays(start())
    long, short = np.array([30, 0, 40], np.float32), np.array([0.3, 0, 0.4], np.float32)
    replies = replies_of({"w": long, "n": np.array(7)}, {"w": short, "n": np.array(7)}, examples=9)
    Privacy(2.0, 0.0).protect(replies, sent)
    clipped, kept = (arrays_in(reply) for reply in replies)
    np.testing.assert_allclose(clipped["w"].numpy(), [1.2, 0, 1.6], rtol=1e-6)
    np.testing.assert_array_equal(kept["w"].numpy(), short)
    assert [str(clipped[name].numpy().dtype) for name in ("w", "n")] == ["float32", "int64"]
    assert int(kept["n"].numpy()) == 0
    # Without noise there is no budget to keep, and nodes count by their examples.
    assert [metrics_in(reply)["num-examples"] for reply in replies] == [9, 9]


def test_noise_has_the_deviation_that_the_budget_is_told_for() -> None:
    size, nodes, norm, multiplier = 200_000, 4, 0.5, 2.0
    sent = SentArrays(ArrayRecord({"w": Array(np.zeros(size))}))
    replies = replies_of(*[{"w": np.zeros(size)}] * nodes, examples=9)
    Privacy(norm, multiplier, np.random.default_rng(1)).protect(replies, sent)
    noises = [arrays_in(reply)["w"].numpy() for reply in replies]
    mean = np.mean(noises, axis=0)
    assert mean.std() == pytest.approx(multiplier * norm / nodes, rel=0.01)
    assert abs(mean.mean()) < 0.005
    # All count alike, whatever examples they state: else a node could weigh more than the noise hides.
    assert [metrics_in(reply)["num-examples"] for reply in replies] == [1] * nodes


@pytest.mark.parametrize("strategy", ["FedAvg", "FedAdam", "FedProx", "FaultTolerantFedAvg"])
def test_each_round_tells_the_budget_spent_so_far(strategy: str, journal: ReadEvents, models: Path) -> None:
    asked: dict[str, Any] = {
        "strategy": strategy,
        "num_server_rounds": 2,
        "dp_clipping_norm": 1.0,
        "dp_noise_multiplier": 1.0,
    }
    Federation.begin(TinyGrid([moving(1), moving(2)]), context(**asked)).train(start())
    ends = [event["data"]["metrics"]["privacy_epsilon"] for event in journal() if event["event"] == "round_end"]
    assert ends == [pytest.approx(gaussian_epsilon(1.0, 1)), pytest.approx(gaussian_epsilon(1.0, 2))]
    written = next(event["data"] for event in journal() if event["event"] == "model_written")
    assert written["metrics"]["privacy_epsilon"] == pytest.approx(ends[-1])
    assert details_of(models)["privacy"] == {
        "privacy_clipping_norm": 1.0,
        "privacy_noise_multiplier": 1.0,
        "privacy_delta": DELTA,
        "privacy_epsilon": pytest.approx(ends[-1]),
    }
    model = read_model(models / "1.npz")
    assert len(set(model["w"].tolist())) == 3
    assert int(model["n"]) == 0


@pytest.mark.parametrize("strategy", ["FedAvg", "FedMedian", "Krum"])
def test_clipping_alone_bounds_what_a_node_can_move(strategy: str, journal: ReadEvents, models: Path) -> None:
    asked: dict[str, Any] = {"strategy": strategy, "num_server_rounds": 1, "dp_clipping_norm": math.sqrt(3)}
    Federation.begin(TinyGrid([moving(100)] * 3), context(**asked)).train(start())
    np.testing.assert_allclose(read_model(models / "1.npz")["w"], [1.0] * 3, rtol=1e-6)
    end = next(event["data"] for event in journal() if event["event"] == "round_end")
    assert "privacy_epsilon" not in end["metrics"]
    assert details_of(models)["privacy"] == {
        "privacy_clipping_norm": math.sqrt(3),
        "privacy_noise_multiplier": 0.0,
    }


def test_without_a_clipping_norm_nothing_is_done() -> None:
    assert Privacy.of_settings(TrainingSettings()) is None


@pytest.mark.parametrize(
    "strategy", [Krum(), FedXgbBagging(), QFedAvg(client_learning_rate=0.1), FedAvg(weighted_by_key="rows")]
)
def test_a_strategy_that_noise_cannot_protect_is_refused(strategy: FedAvg) -> None:
    with pytest.raises(RunConfigError, match=type(strategy).__name__):
        Privacy(1.0, 1.0).check(strategy)
