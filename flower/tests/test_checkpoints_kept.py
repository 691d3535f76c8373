"""Which checkpoints of a run are kept, and what a run without any does."""

from pathlib import Path

import pytest
from flwr.app import Context, RecordDict

from conftest import ReadEvents, details_of
from oneflower.checkpoints.resume import CHECKPOINTS_VARIABLE
from oneflower.checkpoints.store import CheckpointStore
from oneflower.server import (
    TrainingFailedError,
)
from resumable import ROUNDS, Killed, Nodes, context_of, newest, rounds_kept, run

pytestmark = pytest.mark.usefixtures("server_app")


def test_every_second_round_and_the_last_are_kept(checkpoints: Path, models: Path, journal: ReadEvents) -> None:
    run(context_of(1, checkpoint_interval=2, num_server_rounds=5), Nodes())
    assert rounds_kept(checkpoints, 1) == [2, 4, 5]
    finals = [manifest.is_final for manifest in CheckpointStore(checkpoints / "1").manifests()]
    assert finals == [False, False, True]
    assert sorted(file.suffix for file in (checkpoints / "1").iterdir()) == [".json"] * 3 + [".npz"] * 3


def test_the_last_ones_the_best_and_the_final_are_kept(checkpoints: Path, models: Path) -> None:
    grid = Nodes(metrics={2: {"roc_auc": 0.9}} | {number: {"roc_auc": 0.5} for number in (1, 3, 4, 5, 6, 7, 8)})
    run(context_of(1, num_server_rounds=8, checkpoint_keep=2), grid, best=("roc_auc", "max"))
    manifests = CheckpointStore(checkpoints / "1").manifests()
    assert [(found.round, found.is_best, found.is_final) for found in manifests] == [
        (2, True, False),
        (7, False, False),
        (8, False, True),
    ]
    assert manifests[-1].best is not None
    assert manifests[-1].best.round == 2
    assert manifests[-1].best.value == pytest.approx(0.9)


def test_the_best_round_is_kept_off_the_interval_too(checkpoints: Path, models: Path) -> None:
    grid = Nodes(metrics={number: {"eval_loss": 0.1 if number == 3 else 1.0} for number in range(1, 7)})
    run(context_of(1, checkpoint_interval=5), grid)
    assert rounds_kept(checkpoints, 1) == [3, 5, 6]


def test_a_resumed_run_knows_the_best_of_before(checkpoints: Path, models: Path) -> None:
    metrics = {number: {"eval_loss": 0.1 if number == 1 else 1.0} for number in range(1, 7)}
    with pytest.raises(Killed):
        run(context_of(1, checkpoint_keep=1), Nodes(killed_at="4 train", metrics=metrics))
    assert rounds_kept(checkpoints, 1) == [1, 3]
    run(context_of(2, checkpoint_keep=1, resume_from=newest(checkpoints, 1)), Nodes(metrics=metrics))
    assert rounds_kept(checkpoints, 2) == [1, 6]


def test_a_round_that_nobody_evaluates_is_not_the_best_nor_are_those_after_it(checkpoints: Path, models: Path) -> None:
    losses = {number: {"eval_loss": 0.1 if number == 3 else 5.1, "accuracy": 0.1} for number in range(1, 11)}
    losses[7] = {"accuracy": 0.9}
    settings = {"num_server_rounds": 10, "checkpoint_keep": 1}
    run(context_of(1, **settings), Nodes(metrics=losses, unevaluated=[7]))
    assert rounds_kept(checkpoints, 1) == [3, 10]
    assert details_of(models)["best"] == {"round": 3, "metric": "eval_loss", "value": pytest.approx(0.1)}

    with pytest.raises(Killed):
        run(context_of(2, **settings), Nodes(killed_at="7 train", metrics=losses))
    run(context_of(3, **settings, resume_from=newest(checkpoints, 2)), Nodes(metrics=losses, unevaluated=[7]))
    assert rounds_kept(checkpoints, 3) == [3, 10]
    assert details_of(models, 3)["best"]["round"] == 3


def test_a_round_without_result_is_no_checkpoint(checkpoints: Path, models: Path, journal: ReadEvents) -> None:
    metrics = {number: {"eval_loss": 1.0} for number in range(1, 7)}
    run(context_of(1, checkpoint_interval=2), Nodes(failing=[4, 6], metrics=metrics))
    # Round 4 was due: the arrays are those of round 3. Round 5 is the last that trained, so it is the final one.
    saved = [event["data"]["round"] for event in journal() if event["event"] == "checkpoint_saved"]
    assert saved == [1, 2, 3, 5]
    assert rounds_kept(checkpoints, 1) == [1, 2, 5]
    manifests = CheckpointStore(checkpoints / "1").manifests()
    assert [found.is_final for found in manifests] == [False, False, True]
    assert [record.trained for record in manifests[-1].history] == [True, True, True, False, True, False]
    assert journal()[-2]["data"]["round"] == 5


def test_a_final_round_without_result_marks_the_one_before(checkpoints: Path, models: Path) -> None:
    run(context_of(1), Nodes(failing=[6]))
    assert [(found.round, found.is_final) for found in CheckpointStore(checkpoints / "1").manifests()][-1] == (5, True)


def test_no_result_at_all_fails_as_ever(checkpoints: Path, models: Path) -> None:
    with pytest.raises(TrainingFailedError, match="No node's training had a result in any round"):
        run(context_of(1), Nodes(failing=range(1, ROUNDS + 1)))
    assert not (checkpoints / "1").exists()


@pytest.mark.parametrize("setting", ["off", "no folder"])
def test_without_checkpoints_a_run_trains_and_knows_its_best_round(
    setting: str, checkpoints: Path, models: Path, journal: ReadEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting == "no folder":
        monkeypatch.delenv(CHECKPOINTS_VARIABLE)
    run(context_of(1, checkpoint_enabled=setting != "off"), Nodes(metrics={2: {"eval_loss": 0.01}}))
    assert list(checkpoints.iterdir()) == []
    assert details_of(models)["best"]["round"] == 2


def test_an_app_that_declares_nothing_runs_and_one_line_says_so(
    checkpoints: Path, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context = Context(run_id=1, node_id=0, node_config={}, state=RecordDict(), run_config={})
    with caplog.at_level("INFO", logger="flwr"):
        run(context, Nodes())
    assert [record.message for record in caplog.records if "cannot be resumed" in record.message] == [
        "The app does not declare resume-from in [tool.flwr.app.config]: its runs cannot be resumed"
    ]
    assert rounds_kept(checkpoints, 1) == [3]
