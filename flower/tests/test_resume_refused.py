"""A checkpoint of another app, strategy or model is refused, and so is a damaged one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context
from flwr.serverapp.strategy import FedAdam

from conftest import ReadEvents
from oneflower.checkpoints.resume import CHECKPOINTS_VARIABLE
from oneflower.checkpoints.store import CheckpointStore
from oneflower.server import (
    CheckpointDamagedError,
    CheckpointError,
    CheckpointRefusedError,
    Federation,
    TrainingFailedError,
)
from resumable import ROUNDS, Nodes, context_of, initial, killed, newest, run

pytestmark = pytest.mark.usefixtures("server_app")


def test_a_run_that_goes_on_without_any_result_fails_and_leaves_the_checkpoint_as_it_was(
    checkpoints: Path, models: Path, journal: ReadEvents
) -> None:
    killed(context_of(1), "3 train")
    with pytest.raises(TrainingFailedError, match=r"in any round after checkpoint 1/round-000002\.npz: "):
        run(context_of(2, resume_from=newest(checkpoints, 1)), Nodes(failing=range(3, ROUNDS + 1)))
    assert list(models.iterdir()) == []
    assert not [event for event in journal() if event["event"] in ("model_written", "training_end")]
    assert [(found.round, found.is_final) for found in CheckpointStore(checkpoints / "2").manifests()] == [
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
    other: Callable[[Context], None], difference: str, checkpoints: Path, models: Path, journal: ReadEvents
) -> None:
    federation = Federation.begin(Nodes(), context_of(1, framework="sklearn"), app="mine")
    federation.train(initial(), constants={"center": np.ones(2)})
    before = len(journal())
    with pytest.raises(CheckpointRefusedError, match=difference):
        other(context_of(2, framework="sklearn", resume_from=newest(checkpoints, 1)))
    assert not [event for event in journal()[before:] if event["event"] == "round_start"]
    assert not (models / "2.npz").exists()
    assert not (checkpoints / "2").exists()


@pytest.mark.parametrize("place", ["1", "1/round-000006", "../1/round-000006.npz", "1/../2/round-000006.npz", "/", "x"])
def test_what_names_no_checkpoint_is_refused(place: str, checkpoints: Path) -> None:
    with pytest.raises(CheckpointError, match="a checkpoint is named like"):
        Federation.begin(Nodes(), context_of(1, resume_from=place))


def test_a_checkpoint_with_many_other_constants_is_refused_in_few_words(checkpoints: Path, models: Path) -> None:
    def constants(value: float) -> dict[str, np.ndarray[Any, Any]]:
        return {f"constant.{number}": np.full(2, value) for number in range(400)}

    run(context_of(1), Nodes(), constants=constants(1))
    named = r"its constant constant\.0, constant\.1, constant\.2 and 397 more are not those of this run"
    with pytest.raises(CheckpointRefusedError, match=named) as caught:
        run(context_of(2, resume_from=newest(checkpoints, 1)), Nodes(), constants=constants(2))
    assert len(str(caught.value)) < 500


def test_a_damaged_checkpoint_is_refused_and_the_newest_whole_one_named(checkpoints: Path, models: Path) -> None:
    run(context_of(1), Nodes())
    file = checkpoints / "1" / "round-000006.npz"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(CheckpointDamagedError, match=r"size.*The newest whole one of that run is round-000005\.npz"):
        Federation.begin(Nodes(), context_of(2, resume_from="1/round-000006.npz"))


def test_without_a_folder_nothing_can_be_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CHECKPOINTS_VARIABLE, raising=False)
    with pytest.raises(CheckpointError, match="ONEFLOWER_CHECKPOINTS does not name a folder"):
        Federation.begin(Nodes(), context_of(2, resume_from="1/round-000006.npz"))
