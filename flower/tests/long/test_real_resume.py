import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np

from conftest import parse_events
from federation import LocalFederation, await_true, local_federation
from oneflower.checkpoints.resume import CHECKPOINTS_VARIABLE
from oneflower.checkpoints.store import CheckpointStore
from oneflower.model_file import read_model

ROUNDS = 4


def events_of(federation: LocalFederation, name: str, run_id: str) -> list[dict[str, Any]]:
    text = federation.events.read_text() if federation.events.exists() else ""
    events = [event["data"] for event in parse_events(text) if event["event"] == name]
    return [data for data in events if data["run_id"] == run_id]


def await_event(federation: LocalFederation, name: str, run_id: str, seconds: float) -> None:
    try:
        await_true(lambda: bool(events_of(federation, name, run_id)), f"the event {name}", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{federation.logs()}") from error


def submit(federation: LocalFederation, app: Path, resume_from: str = "") -> str:
    overrides = f"num-server-rounds={ROUNDS} local-epochs=1 hidden-units=8 checkpoint-interval=1 strategy='FedAdam'"
    overrides += f" resume-from='{resume_from}'"
    answer = json.loads(federation.flwr("run", str(app), "s", "--format=json", "--run-config", overrides))
    assert answer["success"], answer
    return str(answer["run-id"])


def kill_server_app(federation: LocalFederation) -> None:
    """As the kernel does it when memory runs out."""
    killed = 0
    for process in federation.running():
        command = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ")
        if b"flwr-serverapp" in command:
            os.kill(process, signal.SIGKILL)
            killed += 1
    assert killed > 0


def test_a_run_whose_server_app_was_killed_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    root = tmp_path / "checkpoints"
    root.mkdir()
    with local_federation(tmp_path) as federation:
        federation.environment[CHECKPOINTS_VARIABLE] = str(root)
        federation.start_superlink()
        for partition in (0, 1):
            federation.start_supernode(f"partition-id={partition} num-partitions=2")
        app = federation.app_copy()
        first = submit(federation, app)
        await_event(federation, "checkpoint_saved", first, 240)
        kill_server_app(federation)
        newest = CheckpointStore(root / first).newest_readable()
        assert newest is not None
        second = submit(federation, app, f"{first}/{newest.manifest.file}")
        await_event(federation, "training_end", second, 240)

    done = newest.manifest.round
    (start,) = events_of(federation, "training_start", second)
    assert (start["first_round"], start["num_rounds"]) == (done + 1, ROUNDS)
    ends = [event["round"] for event in events_of(federation, "round_end", second)]
    assert ends == list(range(done + 1, ROUNDS + 1))
    assert not events_of(federation, "training_end", first)
    manifests = CheckpointStore(root / second).manifests()
    final = manifests[-1]
    assert (final.round, final.is_final, final.strategy) == (ROUNDS, True, "FedAdam")
    assert [record.round for record in final.history] == list(range(1, ROUNDS + 1))
    assert final.app == "anomaly-detection"
    assert final.fab is not None
    assert final.fab.startswith("oneflower.anomaly-detection.1.0.0.")
    model = read_model(federation.models / f"{second}.npz")
    kept = CheckpointStore(root / second).read(final.file).part("model")
    for name, array in kept.items():
        np.testing.assert_array_equal(model[name], array)
