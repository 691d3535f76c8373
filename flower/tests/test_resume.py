"""A run that was interrupted goes on from its checkpoint as if it had never stopped."""

import json
import multiprocessing
import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp import strategy as flower
from flwr.serverapp.strategy import FedAdam, FedAvg, FedAvgM, Strategy

from conftest import ReadEvents, details_of
from oneflower.checkpoints.store import CheckpointStore
from oneflower.model_file import read_model
from oneflower.server import (
    Federation,
)
from oneflower.strategies.fault_tolerant import FaultTolerantFedAvg
from oneflower.strategies.multi_krum import MultiKrum
from resumable import NODES, ROUNDS, Killed, Nodes, context_of, initial, killed, newest, rounds_kept, run

pytestmark = pytest.mark.usefixtures("server_app")

MakeStrategy = Callable[[], Strategy]


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
    name: str, checkpoints: Path, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(context_of(1), Nodes(), STRATEGIES[name]())
    expected = read_model(models / "1.npz")
    # Interrupted in round 2, and every continuation in the round after its first.
    killed(context_of(2), "2 train", STRATEGIES[name]())
    for run_id, number in enumerate(range(3, ROUNDS + 1), start=3):
        at = f"{number} {'train' if number % 2 else 'evaluate'}"
        killed(context_of(run_id, resume_from=newest(checkpoints, run_id - 1)), at, STRATEGIES[name]())
    last = ROUNDS + 1
    grid = Nodes()
    run(context_of(last, resume_from=newest(checkpoints, last - 1)), grid, STRATEGIES[name]())
    assert grid.rounds == [ROUNDS]
    actual = read_model(models / f"{last}.npz")
    assert list(actual) == list(expected)
    for array in expected:
        np.testing.assert_array_equal(actual[array], expected[array], strict=True)
    assert "does not hold" not in caplog.text


def test_without_the_moments_the_result_would_be_another(checkpoints: Path, models: Path) -> None:
    """What the test above would not see, if the arrays alone decided."""
    run(context_of(1), Nodes(), FedAdam())
    killed(context_of(2), "4 train", FedAdam())
    folder = checkpoints / "2"
    for file in folder.glob("*.json"):
        values = json.loads(file.read_text())
        values["state"] = {"0:FedAdam": {"m_t": None, "v_t": None}}
        file.write_text(json.dumps(values))
    run(context_of(3, resume_from=newest(checkpoints, 2)), Nodes(), FedAdam())
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(read_model(models / "3.npz")["layer.3"], read_model(models / "1.npz")["layer.3"])


def trained_in_a_process(run_id: int, resume_from: str) -> None:
    run(context_of(run_id, resume_from=resume_from, checkpoint_interval=2), Nodes(), FedAdam())


@pytest.mark.parametrize("seed", range(20))
def test_a_run_killed_at_any_moment_ends_with_the_same_bits(seed: int, checkpoints: Path, models: Path) -> None:
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
        found = CheckpointStore(checkpoints / str(run_id)).newest_readable()
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


def test_a_round_that_comes_to_no_numbers_leaves_the_momentum_as_it_was(checkpoints: Path, models: Path) -> None:
    run(context_of(1), Nodes(), Bursting(server_momentum=0.9))
    trained = [record.trained for record in CheckpointStore(checkpoints / "1").manifests()[-1].history]
    assert trained == [True, True, False, True, True, True]
    for array in read_model(models / "1.npz").values():
        assert np.isfinite(array).all()


def test_a_resumed_run_does_the_rest_with_global_numbers(checkpoints: Path, models: Path, journal: ReadEvents) -> None:
    killed(context_of(1), "4 evaluate")
    before = len(journal())
    grid = Nodes()
    run(context_of(2, resume_from=newest(checkpoints, 1)), grid)
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
    details = details_of(models, 2)
    assert [record["round"] for record in details["history"]] == [1, 2, 3, 4, 5, 6]
    assert details["best"] == {"round": 6, "metric": "eval_loss", "value": pytest.approx(1 / 6)}


def test_results_and_the_evaluation_on_the_server_go_by_global_numbers(checkpoints: Path, models: Path) -> None:
    evaluated: list[int] = []

    def evaluate(number: int, arrays: ArrayRecord) -> MetricRecord:
        evaluated.append(number)
        return MetricRecord({"server_loss": float(np.abs(arrays["layer.3"].numpy()).mean())})

    killed(context_of(1), "4 train", evaluate_fn=evaluate)
    assert evaluated == [0, 1, 2, 3]
    evaluated.clear()
    federation = Federation.begin(Nodes(), context_of(2, resume_from=newest(checkpoints, 1)))
    result = federation.train(initial(), evaluate_fn=evaluate)
    assert evaluated == [4, 5, 6]
    for metrics in (
        result.train_metrics_clientapp,
        result.evaluate_metrics_clientapp,
        result.evaluate_metrics_serverapp,
    ):
        assert list(metrics) == [4, 5, 6]


def test_a_resumed_run_has_the_checkpoints_of_the_one_before(checkpoints: Path, models: Path) -> None:
    killed(context_of(1, checkpoint_keep=2), "5 train")
    run(context_of(2, checkpoint_keep=4, resume_from=newest(checkpoints, 1)), Nodes(killed_at=""))
    assert rounds_kept(checkpoints, 1) == [3, 4]
    assert rounds_kept(checkpoints, 2) == [3, 4, 5, 6]
    assert (checkpoints / "1" / "round-000003.npz").samefile(checkpoints / "2" / "round-000003.npz")
    assert CheckpointStore(checkpoints / "2").read("round-000006.npz").manifest.is_final


def test_a_run_of_the_same_number_goes_on_in_its_own_folder(
    checkpoints: Path, models: Path, journal: ReadEvents
) -> None:
    """Runs in one process have all the same number."""
    run(context_of(1, num_server_rounds=3), Nodes())
    run(context_of(1, resume_from="1/round-000003.npz", checkpoint_keep=10), Nodes())
    assert rounds_kept(checkpoints, 1) == [1, 2, 3, 4, 5, 6]
    assert not [event for event in journal() if event["event"] == "checkpoint_failed"]


def test_no_round_remains_the_model_is_that_of_the_checkpoint(
    checkpoints: Path, models: Path, journal: ReadEvents
) -> None:
    run(context_of(1), Nodes())
    grid = Nodes()
    run(context_of(2, resume_from=newest(checkpoints, 1)), grid)
    assert grid.asked == []
    assert (models / "1.npz").read_bytes() == (models / "2.npz").read_bytes()
    written = journal()[-2]["data"]
    assert (written["run_id"], written["round"], written["metrics"]["eval_loss"]) == ("2", 6, pytest.approx(1 / 6))
    assert details_of(models, 2)["node_examples"] == {str(node): 10 * node for node in range(1, NODES + 1)}
    assert CheckpointStore(checkpoints / "2").read("round-000006.npz").manifest.is_final


def test_more_rounds_than_before_make_the_old_final_one_of_many(checkpoints: Path, models: Path) -> None:
    run(context_of(1, num_server_rounds=2), Nodes())
    run(context_of(2, num_server_rounds=4, resume_from="1/round-000002.npz"), Nodes())
    final = [manifest.is_final for manifest in CheckpointStore(checkpoints / "2").manifests()]
    assert final == [False, False, False, True][-len(final) :]


def test_an_older_checkpoint_forgets_what_came_after(checkpoints: Path, models: Path, journal: ReadEvents) -> None:
    run(context_of(1, checkpoint_keep=10), Nodes())
    run(context_of(2, checkpoint_keep=10, resume_from="1/round-000002.npz"), Nodes(metrics={5: {"eval_loss": 0.01}}))
    assert rounds_kept(checkpoints, 2) == [1, 2, 3, 4, 5, 6]
    details = details_of(models, 2)
    assert [record["round"] for record in details["history"]] == [1, 2, 3, 4, 5, 6]
    assert details["best"]["round"] == 5


def test_what_the_first_run_asked_comes_back(checkpoints: Path, models: Path) -> None:
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
    federation = app(context_of(2, resume_from=newest(checkpoints, 1)), grid)
    assert "0 query" not in grid.asked
    assert federation.resumed is not None
    assert federation.resumed.round == 2
    assert federation.resumed.details == {"columns": ["a", "b"], "unit": None}
    assert list(federation.resumed.arrays) == list(initial())
    np.testing.assert_array_equal(read_model(models / "2.npz")["center"], [1.5, 2.5])


def test_other_details_are_told(checkpoints: Path, models: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(context_of(1), Nodes(), details={"columns": ["a", "b"], "unit": "m", "app": "mine"})
    run(context_of(2, resume_from=newest(checkpoints, 1)), Nodes(), details={"columns": ["b", "a"], "app": "mine"})
    assert "Details of the app are not those of checkpoint 1/round-000006.npz: columns, unit" in caplog.text
