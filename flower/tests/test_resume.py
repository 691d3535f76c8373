"""A run that was interrupted goes on from its checkpoint as if it had never stopped."""

import json
import multiprocessing
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp import strategy as flower
from flwr.serverapp.strategy import FedAdam, FedAvg, FedAvgM, Strategy
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from conftest import ReadEvents, parse_events
from oneflower.checkpoints.resume import CHECKPOINTS_VARIABLE
from oneflower.checkpoints.store import CheckpointStore
from oneflower.events import EVENTS_VARIABLE
from oneflower.model_file import MODELS_VARIABLE, ModelFileError, read_model
from oneflower.privacy import DELTA, gaussian_epsilon
from oneflower.server import (
    CheckpointDamagedError,
    CheckpointError,
    CheckpointRefusedError,
    Federation,
    TrainingFailedError,
)
from oneflower.strategies.fault_tolerant import FaultTolerantFedAvg
from oneflower.strategies.multi_krum import MultiKrum
from oneflower.versions import versions_record

ROUNDS = 6
NODES = 5
MakeStrategy = Callable[[], Strategy]


class Killed(BaseException):
    """Stands for the end of the process in the middle of an exchange."""


@pytest.fixture(autouse=True)
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Flower sets in the process of a ServerApp before it may make messages."""
    for name, value in (("_run_id", 1), ("_node_id", 1), ("_task_id", 1)):
        monkeypatch.setattr(TaskIdentity, name, value)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder for checkpoints."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    monkeypatch.setenv(CHECKPOINTS_VARIABLE, str(folder))
    return folder


class Nodes(Grid):
    """Nodes whose answers depend on round, node and arrays alone. ``killed_at`` is an exchange such as ``2 train``."""

    def __init__(
        self,
        *,
        killed_at: str = "",
        failing: Iterable[int] = (),
        metrics: Mapping[int, Mapping[str, float]] | None = None,
        versions: bool = False,
    ) -> None:
        self.rounds: list[int] = []
        self.asked: list[str] = []
        self._killed_at = killed_at
        self._failing = set(failing)
        self._metrics = metrics or {}
        self._versions = versions

    def get_node_ids(self) -> Iterable[int]:
        return range(1, NODES + 1)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        asked = sorted(messages, key=lambda message: message.metadata.dst_node_id)
        return [self._answer(message) for message in asked]

    def _answer(self, message: Message) -> Message:
        kind, number = message.metadata.message_type, 0
        if kind != "query":
            config = message.content["config"]
            assert isinstance(config, ConfigRecord)
            number = int(str(config["server-round"]))
        place = f"{number} {kind}"
        if place not in self.asked:
            self.asked.append(place)
            # Whatever noise a strategy adds is the same in every run.
            np.random.seed(number)  # noqa: NPY002
        if place == self._killed_at:
            raise Killed
        if kind == "query":
            return Message(RecordDict(), reply_to=message)
        if kind == "train" and number in self._failing:
            return Message(Error(code=2, reason="broken"), reply_to=message)
        node = message.metadata.dst_node_id
        metrics: dict[str, Any] = {
            "num-examples": 10 * node,
            "train_loss": 1 / number,
            "eval_loss": 1 / number,
            "norm_bit": 1,
        }
        metrics |= self._metrics.get(number, {})
        content = RecordDict({"metrics": MetricRecord(metrics)})
        if kind == "train":
            self.rounds += [number] if number not in self.rounds else []
            arrays = message.content["arrays"]
            assert isinstance(arrays, ArrayRecord)
            content["arrays"] = ArrayRecord({name: moved(array, number, node) for name, array in arrays.items()})
            if self._versions:
                told = versions_record("jsonschema", "no-such-package")
                content["versions"] = ConfigRecord({**told, "torch": "2.13.0" if node < 3 else "2.12.0"})
        return Message(content, reply_to=message)

    def set_run(self, run: Run) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Run:
        raise NotImplementedError

    def create_message(self, *arguments: object, **named: object) -> Message:
        raise NotImplementedError

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise NotImplementedError


def moved(array: Array, number: int, node: int) -> Array:
    values = array.numpy()
    if values.dtype.kind != "f":
        return array
    step = np.random.default_rng([number, node]).normal(0, 0.1, values.shape)
    return Array(np.asarray((values * 0.9 + step).astype(values.dtype)))


def context_of(run_id: int, **run_config: bool | float | str) -> Context:
    config: dict[str, bool | float | str] = {"num-server-rounds": ROUNDS, "checkpoint-interval": 1, "resume-from": ""}
    config |= {key.replace("_", "-"): value for key, value in run_config.items()}
    return Context(run_id=run_id, node_id=0, node_config={}, state=RecordDict(), run_config=config)


def initial() -> ArrayRecord:
    """More than ten arrays, a scalar and a counter of whole numbers among them."""
    arrays = {f"layer.{number}": np.full((2, 3), number / 7, dtype=np.float32) for number in range(11)}
    return ArrayRecord({name: Array(array) for name, array in arrays.items()} | {"bias": Array(np.array(0.5))})


def run(context: Context, grid: Grid, strategy: Strategy | None = None, **arguments: Any) -> None:  # noqa: ANN401
    Federation.begin(grid, context, strategy, sleep=lambda _: None).train(initial(), **arguments)


def newest(root: Path, run_id: int) -> str:
    found = CheckpointStore(root / str(run_id)).newest_readable()
    assert found is not None
    return f"{run_id}/{found.manifest.file}"


def rounds_kept(root: Path, run_id: int) -> list[int]:
    return [manifest.round for manifest in CheckpointStore(root / str(run_id)).manifests()]


def killed(context: Context, at: str, strategy: Strategy | None = None, **arguments: Any) -> None:  # noqa: ANN401
    with pytest.raises(Killed):
        run(context, Nodes(killed_at=at), strategy, **arguments)


STRATEGIES: dict[str, MakeStrategy] = {
    "FedAvg": FedAvg,
    "FedProx": lambda: flower.FedProx(proximal_mu=0.1),
    "FedAvgM": lambda: FedAvgM(server_learning_rate=0.7, server_momentum=0.9),
    "FedAvgM without momentum": FedAvgM,
    "FedAdam": FedAdam,
    "FedYogi": flower.FedYogi,
    "FedAdagrad": flower.FedAdagrad,
    "FedMedian": flower.FedMedian,
    "FedTrimmedAvg": lambda: flower.FedTrimmedAvg(beta=0.2),
    "Krum": lambda: flower.Krum(num_malicious_nodes=1),
    "MultiKrum": lambda: MultiKrum(num_malicious_nodes=1, num_nodes_to_select=0),
    "Bulyan": flower.Bulyan,
    "QFedAvg": lambda: flower.QFedAvg(q=0.5, client_learning_rate=0.1, train_loss_key="train_loss"),
    "FaultTolerantFedAvg": lambda: FaultTolerantFedAvg(completion_rate=0.5, round_timeout=10),
    "fixed clipping": lambda: flower.DifferentialPrivacyServerSideFixedClipping(FedAvgM(server_momentum=0.5), 1, 1, 5),
    "fixed clipping by clients": lambda: flower.DifferentialPrivacyClientSideFixedClipping(FedAdam(), 1, 1, 5),
    "adaptive clipping": lambda: flower.DifferentialPrivacyServerSideAdaptiveClipping(FedAdam(), 0.1, 5),
    "adaptive clipping by clients": lambda: flower.DifferentialPrivacyClientSideAdaptiveClipping(FedAvg(), 0.1, 5),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_run_interrupted_at_any_round_ends_with_the_same_bits(
    name: str, root: Path, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(context_of(1), Nodes(), STRATEGIES[name]())
    expected = read_model(models / "1.npz")
    # Interrupted in round 2, and every continuation in the round after its first.
    killed(context_of(2), "2 train", STRATEGIES[name]())
    for run_id, number in enumerate(range(3, ROUNDS + 1), start=3):
        at = f"{number} {'train' if number % 2 else 'evaluate'}"
        killed(context_of(run_id, resume_from=newest(root, run_id - 1)), at, STRATEGIES[name]())
    last = ROUNDS + 1
    grid = Nodes()
    run(context_of(last, resume_from=newest(root, last - 1)), grid, STRATEGIES[name]())
    assert grid.rounds == [ROUNDS]
    actual = read_model(models / f"{last}.npz")
    assert list(actual) == list(expected)
    for array in expected:
        np.testing.assert_array_equal(actual[array], expected[array], strict=True)
    assert "does not hold" not in caplog.text


def test_without_the_moments_the_result_would_be_another(root: Path, models: Path) -> None:
    """What the test above would not see, if the arrays alone decided."""
    run(context_of(1), Nodes(), FedAdam())
    killed(context_of(2), "4 train", FedAdam())
    folder = root / "2"
    for file in folder.glob("*.json"):
        values = json.loads(file.read_text())
        values["state"] = {"0:FedAdam": {"m_t": None, "v_t": None}}
        file.write_text(json.dumps(values))
    run(context_of(3, resume_from=newest(root, 2)), Nodes(), FedAdam())
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(read_model(models / "3.npz")["layer.3"], read_model(models / "1.npz")["layer.3"])


def trained_in_a_process(run_id: int, resume_from: str) -> None:
    run(context_of(run_id, resume_from=resume_from, checkpoint_interval=2), Nodes(), FedAdam())


@pytest.mark.parametrize("seed", range(20))
def test_a_run_killed_at_any_moment_ends_with_the_same_bits(seed: int, root: Path, models: Path) -> None:
    began = time.monotonic()
    trained_in_a_process(1, "")
    usual = time.monotonic() - began
    dice = random.Random(seed)  # noqa: S311
    fork = multiprocessing.get_context("fork")
    place, run_id, done = "", 2, False
    for run_id in range(2, 6):
        process = fork.Process(target=trained_in_a_process, args=(run_id, place))
        process.start()
        # The last one may end.
        process.join(dice.uniform(0, usual) if run_id < 5 else None)
        process.kill()
        process.join()
        done = process.exitcode == 0
        if done:
            break
        found = CheckpointStore(root / str(run_id)).newest_readable()
        place = f"{run_id}/{found.manifest.file}" if found else place
    assert done
    expected, actual = read_model(models / "1.npz"), read_model(models / f"{run_id}.npz")
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array, strict=True)


class Bursting(FedAvgM):
    """One whose momentum and arrays are no numbers after round 3."""

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        arrays, metrics = super().aggregate_train(server_round, replies)
        if server_round == 3 and arrays is not None and self.momentum_vector is not None:
            self.momentum_vector = [np.asarray(array * np.nan) for array in self.momentum_vector]
            arrays = ArrayRecord({name: Array(np.asarray(array.numpy() * np.nan)) for name, array in arrays.items()})
            self.current_arrays = arrays
        return arrays, metrics


def test_a_round_that_comes_to_no_numbers_leaves_the_momentum_as_it_was(root: Path, models: Path) -> None:
    run(context_of(1), Nodes(), Bursting(server_momentum=0.9))
    trained = [record.trained for record in CheckpointStore(root / "1").manifests()[-1].history]
    assert trained == [True, True, False, True, True, True]
    for array in read_model(models / "1.npz").values():
        assert np.isfinite(array).all()


def test_a_resumed_run_does_the_rest_with_global_numbers(root: Path, models: Path, journal: ReadEvents) -> None:
    killed(context_of(1), "4 evaluate")
    before = len(journal())
    grid = Nodes()
    run(context_of(2, resume_from=newest(root, 1)), grid)
    events = journal()[before:]
    assert events[0]["event"] == "training_start"
    assert (events[0]["data"]["first_round"], events[0]["data"]["num_rounds"]) == (4, ROUNDS)
    numbers = {
        kind: [event["data"]["round"] for event in events if event["event"] == kind]
        for kind in ("round_start", "round_end", "checkpoint_saved", "model_written")
    }
    assert numbers == {
        "round_start": [4, 5, 6],
        "round_end": [4, 5, 6],
        "checkpoint_saved": [4, 5, 6],
        "model_written": [6],
    }
    assert grid.asked == [f"{number} {kind}" for number in (4, 5, 6) for kind in ("train", "evaluate")]
    assert events[-1]["data"]["total_rounds"] == ROUNDS
    details = events[-2]["data"]["details"]
    assert [record["round"] for record in details["history"]] == [1, 2, 3, 4, 5, 6]
    assert details["best"] == {"round": 6, "metric": "eval_loss", "value": pytest.approx(1 / 6)}


def test_results_and_the_evaluation_on_the_server_go_by_global_numbers(root: Path, models: Path) -> None:
    evaluated: list[int] = []

    def evaluate(number: int, arrays: ArrayRecord) -> MetricRecord:
        evaluated.append(number)
        return MetricRecord({"server_loss": float(np.abs(arrays["layer.3"].numpy()).mean())})

    killed(context_of(1), "4 train", evaluate_fn=evaluate)
    assert evaluated == [0, 1, 2, 3]
    evaluated.clear()
    federation = Federation.begin(Nodes(), context_of(2, resume_from=newest(root, 1)))
    result = federation.train(initial(), evaluate_fn=evaluate)
    assert evaluated == [4, 5, 6]
    for metrics in (
        result.train_metrics_clientapp,
        result.evaluate_metrics_clientapp,
        result.evaluate_metrics_serverapp,
    ):
        assert list(metrics) == [4, 5, 6]


def test_a_resumed_run_has_the_checkpoints_of_the_one_before(root: Path, models: Path) -> None:
    killed(context_of(1, checkpoint_keep=2), "5 train")
    run(context_of(2, checkpoint_keep=4, resume_from=newest(root, 1)), Nodes(killed_at=""))
    assert rounds_kept(root, 1) == [3, 4]
    assert rounds_kept(root, 2) == [3, 4, 5, 6]
    assert (root / "1" / "round-000003.npz").samefile(root / "2" / "round-000003.npz")
    assert CheckpointStore(root / "2").read("round-000006.npz").manifest.is_final


def test_a_run_of_the_same_number_goes_on_in_its_own_folder(root: Path, models: Path, journal: ReadEvents) -> None:
    """Runs in one process have all the same number."""
    run(context_of(1, num_server_rounds=3), Nodes())
    run(context_of(1, resume_from="1/round-000003.npz", checkpoint_keep=10), Nodes())
    assert rounds_kept(root, 1) == [1, 2, 3, 4, 5, 6]
    assert not [event for event in journal() if event["event"] == "checkpoint_failed"]


NOISE: dict[str, bool | float | str] = {"dp_clipping_norm": 1.0, "dp_noise_multiplier": 2.0, "checkpoint_interval": 3}
LEVEL = {number: {"eval_loss": 1.0} for number in range(1, ROUNDS + 1)}


def budgets(journal: ReadEvents) -> list[float | None]:
    return [event["data"]["metrics"].get("privacy_epsilon") for event in journal() if event["event"] == "round_end"]


def test_rounds_that_are_done_again_spend_privacy_again(root: Path, models: Path, journal: ReadEvents) -> None:
    with pytest.raises(Killed):
        run(context_of(1, **NOISE), Nodes(killed_at="5 train", metrics=LEVEL))
    assert newest(root, 1) == "1/round-000003.npz"
    # Both go on from round 3: the first run has given the nodes four models by then, and either three more.
    for run_id, releases in ((2, 7), (3, 10)):
        run(context_of(run_id, **NOISE, resume_from="1/round-000003.npz"), Nodes(metrics=LEVEL))
        assert budgets(journal)[-1] == pytest.approx(gaussian_epsilon(2.0, releases))
    run(context_of(4, **NOISE, num_server_rounds=7, resume_from=newest(root, 3)), Nodes(metrics=LEVEL))
    assert budgets(journal)[-1] == pytest.approx(gaussian_epsilon(2.0, 11))


def test_rounds_with_other_noise_spend_what_they_have_spent(root: Path, models: Path, journal: ReadEvents) -> None:
    run(context_of(1, **NOISE, num_server_rounds=3), Nodes(metrics=LEVEL))
    more = {**NOISE, "dp_noise_multiplier": 4.0}
    run(context_of(2, **more, num_server_rounds=7, resume_from="1/round-000003.npz"), Nodes(metrics=LEVEL))
    # Four rounds with twice the noise spend as much as one.
    assert budgets(journal)[-1] == pytest.approx(gaussian_epsilon(2.0, 4))


def test_no_budget_is_told_after_rounds_without_noise(
    root: Path, models: Path, journal: ReadEvents, caplog: pytest.LogCaptureFixture
) -> None:
    run(context_of(1, num_server_rounds=3), Nodes(metrics=LEVEL))
    run(context_of(2, **NOISE, resume_from="1/round-000003.npz"), Nodes(metrics=LEVEL))
    assert budgets(journal) == [None] * ROUNDS
    assert "no privacy budget can be told" in caplog.text
    told = {"privacy_clipping_norm": 1.0, "privacy_noise_multiplier": 2.0, "privacy_delta": DELTA}
    assert journal()[-2]["data"]["details"]["privacy"] == told
    assert CheckpointStore(root / "2").manifests()[-1].privacy == told


def test_no_round_remains_the_model_is_that_of_the_checkpoint(root: Path, models: Path, journal: ReadEvents) -> None:
    run(context_of(1), Nodes())
    grid = Nodes()
    run(context_of(2, resume_from=newest(root, 1)), grid)
    assert grid.asked == []
    assert (models / "1.npz").read_bytes() == (models / "2.npz").read_bytes()
    written = journal()[-2]["data"]
    assert (written["run_id"], written["round"], written["metrics"]["eval_loss"]) == ("2", 6, pytest.approx(1 / 6))
    assert written["details"]["node_examples"] == {str(node): 10 * node for node in range(1, NODES + 1)}
    assert CheckpointStore(root / "2").read("round-000006.npz").manifest.is_final


def test_more_rounds_than_before_make_the_old_final_one_of_many(root: Path, models: Path) -> None:
    run(context_of(1, num_server_rounds=2), Nodes())
    run(context_of(2, num_server_rounds=4, resume_from="1/round-000002.npz"), Nodes())
    final = [manifest.is_final for manifest in CheckpointStore(root / "2").manifests()]
    assert final == [False, False, False, True][-len(final) :]


def test_an_older_checkpoint_forgets_what_came_after(root: Path, models: Path, journal: ReadEvents) -> None:
    run(context_of(1, checkpoint_keep=10), Nodes())
    run(context_of(2, checkpoint_keep=10, resume_from="1/round-000002.npz"), Nodes(metrics={5: {"eval_loss": 0.01}}))
    assert rounds_kept(root, 2) == [1, 2, 3, 4, 5, 6]
    details = journal()[-2]["data"]["details"]
    assert [record["round"] for record in details["history"]] == [1, 2, 3, 4, 5, 6]
    assert details["best"]["round"] == 5


def test_every_second_round_and_the_last_are_kept(root: Path, models: Path, journal: ReadEvents) -> None:
    run(context_of(1, checkpoint_interval=2, num_server_rounds=5), Nodes())
    assert rounds_kept(root, 1) == [2, 4, 5]
    finals = [manifest.is_final for manifest in CheckpointStore(root / "1").manifests()]
    assert finals == [False, False, True]
    assert sorted(file.suffix for file in (root / "1").iterdir()) == [".json"] * 3 + [".npz"] * 3


def test_the_last_ones_the_best_and_the_final_are_kept(root: Path, models: Path) -> None:
    grid = Nodes(metrics={2: {"roc_auc": 0.9}} | {number: {"roc_auc": 0.5} for number in (1, 3, 4, 5, 6, 7, 8)})
    run(context_of(1, num_server_rounds=8, checkpoint_keep=2), grid, best=("roc_auc", "max"))
    manifests = CheckpointStore(root / "1").manifests()
    assert [(found.round, found.is_best, found.is_final) for found in manifests] == [
        (2, True, False),
        (7, False, False),
        (8, False, True),
    ]
    assert manifests[-1].best is not None
    assert (manifests[-1].best.round, manifests[-1].best.value) == (2, 0.9)


def test_the_best_round_is_kept_off_the_interval_too(root: Path, models: Path) -> None:
    grid = Nodes(metrics={number: {"eval_loss": 0.1 if number == 3 else 1.0} for number in range(1, 7)})
    run(context_of(1, checkpoint_interval=5), grid)
    assert rounds_kept(root, 1) == [3, 5, 6]


def test_a_resumed_run_knows_the_best_of_before(root: Path, models: Path) -> None:
    metrics = {number: {"eval_loss": 0.1 if number == 1 else 1.0} for number in range(1, 7)}
    with pytest.raises(Killed):
        run(context_of(1, checkpoint_keep=1), Nodes(killed_at="4 train", metrics=metrics))
    assert rounds_kept(root, 1) == [1, 3]
    run(context_of(2, checkpoint_keep=1, resume_from=newest(root, 1)), Nodes(metrics=metrics))
    assert rounds_kept(root, 2) == [1, 6]


def test_a_round_without_result_is_no_checkpoint(root: Path, models: Path, journal: ReadEvents) -> None:
    metrics = {number: {"eval_loss": 1.0} for number in range(1, 7)}
    run(context_of(1, checkpoint_interval=2), Nodes(failing=[4, 6], metrics=metrics))
    # Round 4 was due: the arrays are those of round 3. Round 5 is the last that trained, so it is the final one.
    saved = [event["data"]["round"] for event in journal() if event["event"] == "checkpoint_saved"]
    assert saved == [1, 2, 3, 5]
    assert rounds_kept(root, 1) == [1, 2, 5]
    manifests = CheckpointStore(root / "1").manifests()
    assert [found.is_final for found in manifests] == [False, False, True]
    assert [record.trained for record in manifests[-1].history] == [True, True, True, False, True, False]
    assert journal()[-2]["data"]["round"] == 5


def test_a_final_round_without_result_marks_the_one_before(root: Path, models: Path) -> None:
    run(context_of(1), Nodes(failing=[6]))
    assert [(found.round, found.is_final) for found in CheckpointStore(root / "1").manifests()][-1] == (5, True)


def test_no_result_at_all_fails_as_ever(root: Path, models: Path) -> None:
    with pytest.raises(TrainingFailedError, match="No node's training had a result in any round"):
        run(context_of(1), Nodes(failing=range(1, ROUNDS + 1)))
    assert not (root / "1").exists()


def test_a_run_that_goes_on_without_any_result_fails_and_leaves_the_checkpoint_as_it_was(
    root: Path, models: Path, journal: ReadEvents
) -> None:
    killed(context_of(1), "3 train")
    with pytest.raises(TrainingFailedError, match=r"in any round after checkpoint 1/round-000002\.npz: "):
        run(context_of(2, resume_from=newest(root, 1)), Nodes(failing=range(3, ROUNDS + 1)))
    assert list(models.iterdir()) == []
    assert not [event for event in journal() if event["event"] in ("model_written", "training_end")]
    assert [(found.round, found.is_final) for found in CheckpointStore(root / "2").manifests()] == [
        (1, False),
        (2, False),
    ]


def other_app(context: Context) -> None:
    Federation.begin(Nodes(), context, app="other", sleep=lambda _: None).train(initial())


def other_framework(context: Context) -> None:
    Federation.begin(Nodes(), context, app="mine", framework="pytorch").train(initial())


def other_strategy(context: Context) -> None:
    Federation.begin(Nodes(), context, FedAdam(), app="mine").train(initial())


def other_shape(context: Context) -> None:
    arrays = initial()
    arrays["layer.3"] = Array(np.zeros((4, 4), dtype=np.float32))
    Federation.begin(Nodes(), context, app="mine").train(arrays, constants={"center": np.ones(2)})


def other_type(context: Context) -> None:
    arrays = initial()
    arrays["layer.3"] = Array(np.zeros((2, 3)))
    Federation.begin(Nodes(), context, app="mine").train(arrays, constants={"center": np.ones(2)})


def other_names(context: Context) -> None:
    arrays = ArrayRecord({name.replace("layer", "block"): array for name, array in initial().items()})
    Federation.begin(Nodes(), context, app="mine").train(arrays, constants={"center": np.ones(2)})


def other_order(context: Context) -> None:
    arrays = ArrayRecord(dict(reversed(list(initial().items()))))
    Federation.begin(Nodes(), context, app="mine").train(arrays, constants={"center": np.ones(2)})


def other_constant(context: Context) -> None:
    Federation.begin(Nodes(), context, app="mine").train(initial(), constants={"center": np.zeros(2)})


def no_constant(context: Context) -> None:
    Federation.begin(Nodes(), context, app="mine").train(initial())


def other_app_by_details(context: Context) -> None:
    Federation.begin(Nodes(), context).train(initial(), constants={"center": np.ones(2)}, details={"app": "other"})


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (other_app, "its app is mine, that of this run is other"),
        (other_app_by_details, "its app is mine, that of this run is other"),
        (other_framework, "its framework is sklearn, that of this run is pytorch"),
        (other_strategy, "its strategy is FedAvg, that of this run is FedAdam"),
        (other_shape, r"its array layer.3 is float32 \(2, 3\), that of this run is float32 \(4, 4\)"),
        (other_type, r"its array layer.3 is float32 \(2, 3\), that of this run is float64 \(2, 3\)"),
        (other_names, "it lacks the array block.0, block.1, block.10 and 8 more"),
        (other_order, "its array arrays come in another order"),
        (other_constant, "its constant center are not those of this run"),
        (no_constant, "it has beyond this run the constant center"),
    ],
)
def test_a_checkpoint_of_another_is_refused_before_round_1_with_the_difference(
    other: Callable[[Context], None], difference: str, root: Path, models: Path, journal: ReadEvents
) -> None:
    federation = Federation.begin(Nodes(), context_of(1, framework="sklearn"), app="mine")
    federation.train(initial(), constants={"center": np.ones(2)})
    before = len(journal())
    with pytest.raises(CheckpointRefusedError, match=difference):
        other(context_of(2, framework="sklearn", resume_from=newest(root, 1)))
    assert not [event for event in journal()[before:] if event["event"] == "round_start"]
    assert not (models / "2.npz").exists()
    assert not (root / "2").exists()


@pytest.mark.parametrize("place", ["1", "1/round-000006", "../1/round-000006.npz", "1/../2/round-000006.npz", "/", "x"])
def test_what_names_no_checkpoint_is_refused(place: str, root: Path) -> None:
    with pytest.raises(CheckpointError, match="a checkpoint is named like"):
        Federation.begin(Nodes(), context_of(1, resume_from=place))


def test_a_checkpoint_with_many_other_constants_is_refused_in_few_words(root: Path, models: Path) -> None:
    def constants(value: float) -> dict[str, np.ndarray[Any, Any]]:
        return {f"constant.{number}": np.full(2, value) for number in range(400)}

    run(context_of(1), Nodes(), constants=constants(1))
    named = r"its constant constant\.0, constant\.1, constant\.2 and 397 more are not those of this run"
    with pytest.raises(CheckpointRefusedError, match=named) as caught:
        run(context_of(2, resume_from=newest(root, 1)), Nodes(), constants=constants(2))
    assert len(str(caught.value)) < 500


def test_a_damaged_checkpoint_is_refused_and_the_newest_whole_one_named(root: Path, models: Path) -> None:
    run(context_of(1), Nodes())
    file = root / "1" / "round-000006.npz"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(CheckpointDamagedError, match=r"size.*The newest whole one of that run is round-000005\.npz"):
        Federation.begin(Nodes(), context_of(2, resume_from="1/round-000006.npz"))


def test_without_a_folder_nothing_can_be_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CHECKPOINTS_VARIABLE, raising=False)
    with pytest.raises(CheckpointError, match="ONEFLOWER_CHECKPOINTS does not name a folder"):
        Federation.begin(Nodes(), context_of(2, resume_from="1/round-000006.npz"))


def test_what_the_first_run_asked_comes_back(root: Path, models: Path) -> None:
    def app(context: Context, grid: Grid) -> Federation:
        federation = Federation.begin(grid, context)
        resumed = federation.resumed
        if resumed is None:
            federation.ask()
        center = resumed.constants["center"] if resumed else np.array([1.5, 2.5])
        details = resumed.details if resumed else {"columns": ["a", "b"], "unit": None}
        federation.train(initial(), constants={"center": center}, details=details)
        return federation

    with pytest.raises(Killed):
        app(context_of(1), Nodes(killed_at="3 train"))
    grid = Nodes()
    federation = app(context_of(2, resume_from=newest(root, 1)), grid)
    assert "0 query" not in grid.asked
    assert federation.resumed is not None
    assert federation.resumed.round == 2
    assert federation.resumed.details == {"columns": ["a", "b"], "unit": None}
    assert list(federation.resumed.arrays) == list(initial())
    np.testing.assert_array_equal(read_model(models / "2.npz")["center"], [1.5, 2.5])


def test_other_details_are_told(root: Path, models: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(context_of(1), Nodes(), details={"columns": ["a", "b"], "unit": "m", "app": "mine"})
    run(context_of(2, resume_from=newest(root, 1)), Nodes(), details={"columns": ["b", "a"], "app": "mine"})
    assert "Details of the app are not those of checkpoint 1/round-000006.npz: columns, unit" in caplog.text


class Counting(FedAvg):
    """A strategy whose state nobody has told OneFlower of."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[object] = []
        self.limit = 3
        self.dice = random.Random(1)  # noqa: S311
        self.noise = np.random.default_rng(1)
        self.unused = random.Random(1)  # noqa: S311

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        self.calls.append(server_round)
        self.dice.random()
        self.noise.normal()
        return super().aggregate_train(server_round, replies)


class Telling(Counting):
    """One that says it itself."""

    def state_to_keep(self) -> dict[str, Any]:
        return {"calls": self.calls, "mean": np.float32(0.1), "rates": (0.1, float("nan")), "seen": {7: b"ab"}}

    def restore_state(self, state: dict[str, Any]) -> None:
        self.calls = state["calls"]
        self.restored = state


def test_unknown_state_is_named_once_and_training_goes_on(
    root: Path, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed(context_of(1), "3 train", Counting())
    run(context_of(2, resume_from=newest(root, 1)), Nodes(), Counting())
    told = [record.message for record in caplog.records if "does not hold" in record.message]
    assert len(told) == 1
    assert "Counting.calls, Counting.dice, Counting.noise: the strategy goes on with its arrays" in told[0]


def test_state_that_cannot_be_kept_ends_no_training(root: Path, models: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Odd(Telling):
        def state_to_keep(self) -> dict[str, Any]:
            return {"calls": self.calls, "odd": object(), "objects": np.array([{}])}

    killed(context_of(1), "3 train", Odd())
    strategy = Odd()
    run(context_of(2, resume_from=newest(root, 1)), Nodes(), strategy)
    assert strategy.calls == [1, 2, 3, 4, 5, 6]
    assert "does not hold Odd.odd, Odd.objects" in caplog.text


def test_a_strategy_can_say_its_state_itself(root: Path, models: Path, caplog: pytest.LogCaptureFixture) -> None:
    killed(context_of(1), "3 train", Telling())
    strategy = Telling()
    run(context_of(2, resume_from=newest(root, 1)), Nodes(), strategy)
    assert strategy.calls == [1, 2, 3, 4, 5, 6]
    assert strategy.restored["mean"] == np.float32(0.1)
    assert strategy.restored["mean"].dtype == np.float32
    assert strategy.restored["rates"][0] == 0.1
    assert np.isnan(strategy.restored["rates"][1])
    assert strategy.restored["seen"] == {7: b"ab"}
    assert "does not hold" not in caplog.text


def test_a_loss_that_is_no_number_ends_the_run(root: Path, models: Path, journal: ReadEvents) -> None:
    broken = Nodes(metrics={4: {"eval_loss": float("nan")}})
    with pytest.raises(TrainingFailedError, match="come apart in round 4: eval_loss is nan"):
        run(context_of(1), broken)
    assert rounds_kept(root, 1) == [1, 2, 3]
    assert list(models.iterdir()) == []
    assert [event["data"]["round"] for event in journal() if event["event"] == "round_end"] == [1, 2, 3, 4]


def test_a_run_told_so_goes_on_in_spite_of_such_a_loss(root: Path, models: Path) -> None:
    run(context_of(1, stop_on_nan=False), Nodes(metrics={4: {"eval_loss": float("inf")}}))
    assert (models / "1.npz").exists()
    assert 4 in rounds_kept(root, 1)


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """A disk that takes no file of more bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Filling(Nodes):
    """Nodes of a run whose disk is full from round 3 to round 4."""

    def _answer(self, message: Message) -> Message:
        answer = super()._answer(message)
        size = {"3 evaluate": 64 * 1024, "5 train": -1}.get(self.asked[-1])
        if size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        return answer


def test_a_full_disk_is_told_and_training_goes_on(
    root: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: ReadEvents
) -> None:
    with disk_of(-1):
        run(context_of(1), Filling(), constants={"big": np.zeros(20_000)})
    failed = [event["data"] for event in journal() if event["event"] == "checkpoint_failed"]
    assert [data["round"] for data in failed] == [3, 4]
    assert "File too large" in failed[0]["error"]
    assert rounds_kept(root, 1) == [2, 5, 6]
    assert (models / "1.npz").exists()
    assert not list((root / "1").glob(".*"))


def test_a_disk_that_stays_full_fails_the_run_with_the_reason(root: Path, models: Path, journal: ReadEvents) -> None:
    with disk_of(-1), pytest.raises(ModelFileError, match=r"1\.npz could not be written: .*File too large"):
        run(context_of(1, num_server_rounds=4), Filling(), constants={"big": np.zeros(20_000)})
    assert rounds_kept(root, 1) == [1, 2]
    assert list(models.iterdir()) == []
    assert not [event for event in journal() if event["event"] in ("model_failed", "training_end")]


def test_a_model_that_cannot_be_written_is_told_where_a_checkpoint_holds_it(
    root: Path, models: Path, journal: ReadEvents
) -> None:
    models.rmdir()
    run(context_of(1), Nodes())
    *_, failed, end = journal()
    assert (failed["event"], failed["data"]["round"], end["event"]) == ("model_failed", ROUNDS, "training_end")
    assert "1.npz could not be written: " in failed["data"]["error"]
    assert CheckpointStore(root / "1").manifests()[-1].is_final


def test_what_could_not_be_written_is_made_up_for_in_the_next_round(
    root: Path, models: Path, journal: ReadEvents
) -> None:
    metrics = {number: {"eval_loss": 1.0} for number in range(1, 9)}
    with disk_of(-1):
        context = context_of(1, num_server_rounds=8, checkpoint_interval=3)
        run(context, Filling(metrics=metrics), constants={"big": np.zeros(20_000)})
    events = [(event["event"], event["data"]["round"]) for event in journal() if "checkpoint" in event["event"]]
    assert events == [
        ("checkpoint_saved", 1),
        ("checkpoint_failed", 3),
        ("checkpoint_failed", 4),
        ("checkpoint_saved", 5),
        ("checkpoint_saved", 6),
        ("checkpoint_saved", 8),
    ]
    assert rounds_kept(root, 1) == [1, 6, 8]


@pytest.fixture
def open_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folders that any user can reach: the checkpoints' can be read, the others written too."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        for variable, mode in ((CHECKPOINTS_VARIABLE, 0o555), (MODELS_VARIABLE, 0o777)):
            (folder / variable).mkdir()
            (folder / variable).chmod(mode)
            monkeypatch.setenv(variable, str(folder / variable))
        (folder / "events.jsonl").touch()
        (folder / "events.jsonl").chmod(0o666)
        monkeypatch.setenv(EVENTS_VARIABLE, str(folder / "events.jsonl"))
        yield folder


@contextmanager
def not_root() -> Iterator[None]:
    """For a while another user, as root may write everywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_that_cannot_be_written_is_told_and_training_goes_on(open_folder: Path) -> None:
    with not_root():
        run(context_of(1, num_server_rounds=2), Nodes())
    events = parse_events((open_folder / "events.jsonl").read_text())
    failed = [event["data"] for event in events if event["event"] == "checkpoint_failed"]
    assert [data["round"] for data in failed] == [1, 2]
    assert "Permission denied" in failed[0]["error"]
    assert (open_folder / MODELS_VARIABLE / "1.npz").exists()


def test_checkpoints_that_cannot_be_taken_over_are_told_and_training_goes_on(open_folder: Path) -> None:
    root = open_folder / CHECKPOINTS_VARIABLE
    killed(context_of(1), "3 train")
    (root / "1").chmod(0o755)
    for file in (root / "1").iterdir():
        file.chmod(0o644)
    with not_root():
        run(context_of(2, resume_from=newest(root, 1)), Nodes())
    events = parse_events((open_folder / "events.jsonl").read_text())
    failed = [event["data"] for event in events if event["event"] == "checkpoint_failed"]
    assert [data["round"] for data in failed] == [2, 3, 4, 5, 6]
    assert "The checkpoints of run 1 were not taken" in failed[0]["error"]
    assert (open_folder / MODELS_VARIABLE / "2.npz").exists()


@pytest.mark.parametrize("setting", ["off", "no folder"])
def test_without_checkpoints_a_run_trains_and_knows_its_best_round(
    setting: str, root: Path, models: Path, journal: ReadEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting == "no folder":
        monkeypatch.delenv(CHECKPOINTS_VARIABLE)
    run(context_of(1, checkpoint_enabled=setting != "off"), Nodes(metrics={2: {"eval_loss": 0.01}}))
    assert list(root.iterdir()) == []
    assert journal()[-2]["data"]["details"]["best"]["round"] == 2


def test_an_app_that_declares_nothing_runs_and_one_line_says_so(
    root: Path, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context = Context(run_id=1, node_id=0, node_config={}, state=RecordDict(), run_config={})
    with caplog.at_level("INFO", logger="flwr"):
        run(context, Nodes())
    assert [record.message for record in caplog.records if "cannot be resumed" in record.message] == [
        "The app does not declare resume-from in [tool.flwr.app.config]: its runs cannot be resumed"
    ]
    assert rounds_kept(root, 1) == [3]


def test_the_model_tells_enough_for_a_card(root: Path, models: Path, journal: ReadEvents) -> None:
    context = context_of(1, framework="pytorch")
    metrics = {number: {"privacy_epsilon": number / 2} for number in range(1, 7)}
    Federation.begin(Nodes(metrics=metrics, versions=True), context, FedAdam(eta=0.25), app="mine").train(initial())
    details = journal()[-2]["data"]["details"]
    assert (details["app"], details["framework"], details["strategy"]) == ("mine", "pytorch", "FedAdam")
    assert details["strategy_parameters"]["eta"] == 0.25
    assert details["strategy_parameters"]["min_available_nodes"] == 2
    assert details["node_examples"] == {str(node): 10 * node for node in range(1, NODES + 1)}
    assert details["privacy"] == {"privacy_epsilon": 3.0}
    assert set(details["versions"]) == {"python", "flwr", "numpy", "torch", "jsonschema"}
    assert details["versions"]["torch"] == "2.12.0, 2.13.0"
    assert (details["num_rounds"], details["trained_rounds"]) == (ROUNDS, ROUNDS)
    assert [record["round"] for record in details["history"]] == [1, 2, 3, 4, 5, 6]
    assert details["arrays"]["layer.3"] == {"shape": [2, 3], "type": "float32"}


def test_a_long_history_stays_within_what_an_event_can_carry(root: Path, models: Path, journal: ReadEvents) -> None:
    metrics = {number: {f"metric_{place}": random.random() for place in range(30)} for number in range(1, 41)}  # noqa: S311
    metrics[27]["eval_loss"] = 0.0001
    context = context_of(1, num_server_rounds=40, checkpoint_interval=10_000, checkpoint_keep=1)
    run(context, Nodes(metrics=metrics))
    written = journal()[-2]
    assert len(json.dumps(written)) < 24 * 1024
    rounds = [record["round"] for record in written["data"]["details"]["history"]]
    assert rounds[0] == 1
    assert rounds[-1] == 40
    assert 27 in rounds
    assert written["data"]["details"]["left_out"]["history"] == 40 - len(rounds)
    assert len(CheckpointStore(root / "1").manifests()[-1].history) == 40
