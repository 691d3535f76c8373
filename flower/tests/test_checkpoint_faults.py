"""Checkpoints meet losses that are no numbers, a full disk and folders that cannot be written."""

import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Message

from conftest import ReadEvents, parse_events
from oneflower.checkpoints.resume import CHECKPOINTS_VARIABLE
from oneflower.checkpoints.store import CheckpointStore
from oneflower.events import EVENTS_VARIABLE
from oneflower.model_file import MODELS_VARIABLE, ModelFileError
from oneflower.server import (
    TrainingFailedError,
)
from resumable import ROUNDS, Nodes, context_of, killed, newest, rounds_kept, run

pytestmark = pytest.mark.usefixtures("server_app")


def test_a_loss_that_is_no_number_ends_the_run(checkpoints: Path, models: Path, journal: ReadEvents) -> None:
    broken = Nodes(metrics={4: {"eval_loss": float("nan")}})
    with pytest.raises(TrainingFailedError, match="come apart in round 4: eval_loss is nan"):
        run(context_of(1), broken)
    assert rounds_kept(checkpoints, 1) == [1, 2, 3]
    assert list(models.iterdir()) == []
    assert [event["data"]["round"] for event in journal() if event["event"] == "round_end"] == [1, 2, 3, 4]


def test_a_run_told_so_goes_on_in_spite_of_such_a_loss(checkpoints: Path, models: Path) -> None:
    run(context_of(1, stop_on_nan=False), Nodes(metrics={4: {"eval_loss": float("inf")}}))
    assert (models / "1.npz").exists()
    assert 4 in rounds_kept(checkpoints, 1)


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
    checkpoints: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: ReadEvents
) -> None:
    with disk_of(-1):
        run(context_of(1), Filling(), constants={"big": np.zeros(20_000)})
    failed = [event["data"] for event in journal() if event["event"] == "checkpoint_failed"]
    assert [data["round"] for data in failed] == [3, 4]
    assert "File too large" in failed[0]["error"]
    assert rounds_kept(checkpoints, 1) == [2, 5, 6]
    assert (models / "1.npz").exists()
    assert not list((checkpoints / "1").glob(".*"))


def test_a_disk_that_stays_full_fails_the_run_with_the_reason(
    checkpoints: Path, models: Path, journal: ReadEvents
) -> None:
    with disk_of(-1), pytest.raises(ModelFileError, match=r"1\.npz could not be written: .*File too large"):
        run(context_of(1, num_server_rounds=4), Filling(), constants={"big": np.zeros(20_000)})
    assert rounds_kept(checkpoints, 1) == [1, 2]
    assert list(models.iterdir()) == []
    assert not [event for event in journal() if event["event"] in ("model_failed", "training_end")]


def test_a_model_that_cannot_be_written_is_told_where_a_checkpoint_holds_it(
    checkpoints: Path, models: Path, journal: ReadEvents
) -> None:
    models.rmdir()
    run(context_of(1), Nodes())
    *_, failed, end = journal()
    assert (failed["event"], failed["data"]["round"], end["event"]) == ("model_failed", ROUNDS, "training_end")
    assert "1.npz could not be written: " in failed["data"]["error"]
    assert CheckpointStore(checkpoints / "1").manifests()[-1].is_final


def test_what_could_not_be_written_is_made_up_for_in_the_next_round(
    checkpoints: Path, models: Path, journal: ReadEvents
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
    assert rounds_kept(checkpoints, 1) == [1, 6, 8]


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
    checkpoints = open_folder / CHECKPOINTS_VARIABLE
    killed(context_of(1), "3 train")
    (checkpoints / "1").chmod(0o755)
    for file in (checkpoints / "1").iterdir():
        file.chmod(0o644)
    with not_root():
        run(context_of(2, resume_from=newest(checkpoints, 1)), Nodes())
    events = parse_events((open_folder / "events.jsonl").read_text())
    failed = [event["data"] for event in events if event["event"] == "checkpoint_failed"]
    assert [data["round"] for data in failed] == [2, 3, 4, 5, 6]
    assert "The checkpoints of run 1 were not taken" in failed[0]["error"]
    assert (open_folder / MODELS_VARIABLE / "2.npz").exists()
