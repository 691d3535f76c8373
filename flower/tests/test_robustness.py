"""What robust strategies stand: nodes that answer in a strange form, and nodes that are lost."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message, RecordDict
from flwr.serverapp import strategy as flower
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray

from conftest import ReadEvents
from oneflower.errors import TrainingFailedError
from oneflower.local_grid import identity
from oneflower.model_file import read_model
from oneflower.server import Federation
from tiny_nodes import TinyGrid, Train, content, context, moving, start

HONEST = (0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2)


@pytest.fixture(autouse=True)
def _server() -> Iterator[None]:
    with identity(1, 1):
        yield


def trained(
    grid: TinyGrid,
    models: Path,
    given: Strategy | None = None,
    arrays: ArrayRecord | None = None,
    **asked: bool | float | str,
) -> dict[str, NDArray[Any]]:
    run_config = {"num_server_rounds": 1, **asked}
    Federation.begin(grid, context(**run_config), given).train(arrays or start())
    return read_model(models / "1.npz")


def failures(journal: ReadEvents) -> list[str]:
    return [event["data"]["error"] for event in journal() if event["event"] == "round_failed"]


def honest(number: int) -> list[Train]:
    return [moving(step) for step in HONEST[:number]]


def cut_anew(arrays: Mapping[str, NDArray[Any]]) -> RecordDict:
    """What honest nodes send in one row, cut at other places: nearest to all of them by place, of no use by name."""
    row = np.concatenate([arrays["big"].ravel() + np.arange(6, dtype=np.float32), arrays["small"]]) + np.float32(1)
    return content({"small": row[:2], "big": row[2:].reshape(2, 3)})


@pytest.mark.parametrize(
    ("name", "nodes"), [("FedAvg", 3), ("FedMedian", 3), ("Krum", 5), ("MultiKrum", 5), ("Bulyan", 7)]
)
def test_arrays_are_known_by_name_whatever_their_order(
    name: str, nodes: int, journal: ReadEvents, models: Path
) -> None:
    def drifting(step: float) -> Train:
        drift = np.arange(6, dtype=np.float32).reshape(2, 3) + np.float32(step)
        return lambda arrays: content({"big": arrays["big"] + drift, "small": arrays["small"] + np.float32(step)})

    initial = ArrayRecord(
        {"big": Array(np.zeros((2, 3), np.float32)), "small": Array(np.full(2, 100, dtype=np.float32))}
    )
    grid = TinyGrid([*(drifting(step) for step in HONEST[: nodes - 1]), cut_anew])
    asked: dict[str, Any] = {"strategy": name, "min_available_clients": nodes}
    if name not in ("FedAvg", "FedMedian"):
        asked["num_malicious"] = 1
    model = trained(grid, models, arrays=initial, **asked)
    assert list(model) == ["big", "small"]
    if name != "FedAvg":
        np.testing.assert_allclose(model["small"], [101, 101], atol=0.2)


@pytest.mark.parametrize(
    ("asked", "nodes", "lost", "why"),
    [
        (
            {"strategy": "Krum", "num_malicious": 2},
            7,
            3,
            "Krum stands num-malicious=2 among 7 replies at least, 4",
        ),
        ({"strategy": "MultiKrum", "num_malicious": 1}, 5, 1, "MultiKrum stands num-malicious=1 among 5 replies"),
        ({"strategy": "Bulyan", "num_malicious": 1}, 7, 1, "Bulyan stands num-malicious=1 among 7 replies at least, 6"),
        ({"strategy": "FedTrimmedAvg", "trim_beta": 0.2}, 5, 1, "trim-beta=0.2 trims nobody among the 4 replies of 5"),
    ],
)
def test_a_round_with_too_few_replies_to_stand_malicious_nodes_leaves_the_model(
    asked: dict[str, Any], nodes: int, lost: int, why: str, journal: ReadEvents, models: Path
) -> None:
    grid = TinyGrid(honest(nodes), silent=[set(range(lost))])
    model = trained(grid, models, num_server_rounds=2, min_available_clients=nodes, **asked)
    assert [error.startswith(why) for error in failures(journal)] == [True]
    assert model["n"].item() == 1


def test_a_choice_that_was_weak_from_the_beginning_goes_on_as_it_was_told(journal: ReadEvents, models: Path) -> None:
    """With two nodes nothing can be trimmed, which is said when the run begins."""
    grid = TinyGrid(honest(3), silent=[{0}])
    model = trained(grid, models, strategy="FedTrimmedAvg", trim_beta=0.2, min_available_clients=2)
    assert failures(journal) == []
    assert model["n"].item() == 1


def test_multi_krum_never_reaches_for_the_malicious_where_nodes_are_lost(journal: ReadEvents, models: Path) -> None:
    grid = TinyGrid([*honest(6), moving(100)], silent=[{0, 1}])
    asked: dict[str, Any] = {"num_malicious": 1, "num_selected": 5, "min_available_clients": 7}
    model = trained(grid, models, strategy="MultiKrum", **asked)
    assert model["w"].max() < 2


def test_a_run_whose_rounds_all_fail_says_so(journal: ReadEvents, models: Path) -> None:
    grid = TinyGrid(honest(5), silent=[{0}])
    with pytest.raises(TrainingFailedError, match="in any round"):
        trained(grid, models, strategy="Krum", num_malicious=1, min_available_clients=5)
    assert len(failures(journal)) == 1


class Shuffling(TinyGrid):
    """Whoever is asked first answers last."""

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        return reversed(list(super().send_and_receive(messages, timeout=timeout)))


@pytest.mark.parametrize("name", ["FedAvg", "FedAdam", "FedTrimmedAvg", "MultiKrum"])
def test_the_order_of_replies_changes_no_bit(name: str, journal: ReadEvents, models: Path) -> None:
    steps = np.random.default_rng(1).normal(0, 1, 7)
    nodes = [moving(step, num_examples=place + 1, loss=step) for place, step in enumerate(steps)]
    asked: dict[str, Any] = {"strategy": name, "num_server_rounds": 3, "min_available_clients": 7}
    first = trained(TinyGrid(nodes), models, **asked)["w"]
    np.testing.assert_array_equal(trained(Shuffling(nodes), models, **asked)["w"], first)
    metrics = [event["data"]["metrics"] for event in journal() if event["event"] == "round_end"]
    assert metrics[:3] == metrics[3:]


@pytest.mark.parametrize(
    "strategy",
    [
        flower.DifferentialPrivacyServerSideFixedClipping(flower.FedAvg(), 1, 1, 3),
        flower.DifferentialPrivacyClientSideFixedClipping(flower.FedAvg(), 1, 1, 3),
    ],
    ids=["on the server", "on the nodes"],
)
def test_replies_are_checked_inside_what_wraps_a_strategy(
    strategy: Strategy, journal: ReadEvents, models: Path
) -> None:
    def broken(arrays: Mapping[str, NDArray[Any]]) -> RecordDict:
        return content({"w": arrays["w"] * np.float32("nan"), "n": arrays["n"]})

    model = trained(TinyGrid([*honest(3), broken]), models, strategy)
    assert np.isfinite(model["w"]).all()
    assert [event["data"]["node_id"] for event in journal() if event["event"] == "client_failure"] == ["14"]
