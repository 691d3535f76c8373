import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from anomaly_detection.compare import read_federated
from conftest import details_of, parse_events
from federation import LocalFederation, await_true, local_federation
from oneflower.bundled import read_shuttle


def events_of(federation: LocalFederation, name: str) -> list[dict[str, Any]]:
    text = federation.events.read_text() if federation.events.exists() else ""
    return [event["data"] for event in parse_events(text) if event["event"] == name]


def await_event(federation: LocalFederation, name: str, seconds: float) -> None:
    try:
        await_true(lambda: bool(events_of(federation, name)), f"the event {name}", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{federation.logs()}") from error


def write_own_rows(folder: Path) -> int:
    """Every tenth Shuttle row, as a node's own file."""
    folder.mkdir()
    rows = read_shuttle()
    lines = [",".join((*rows.columns, "fault"))]
    lines += [
        ",".join((*map(str, features), str(label)))
        for features, label in zip(rows.features[::10], rows.labels[::10], strict=True)
    ]
    (folder / "rows.csv").write_text("\n".join(lines))
    return len(lines) - 1


def test_two_nodes_train_two_rounds_and_the_model_is_kept(tmp_path: Path) -> None:
    with local_federation(tmp_path) as federation:
        federation.start_superlink()
        own_rows = write_own_rows(tmp_path / "data")
        federation.start_supernode("partition-id=1 num-partitions=2")
        federation.start_supernode("", data=tmp_path / "data")
        overrides = "num-server-rounds=2 local-epochs=1 hidden-units=8"
        answer = json.loads(
            federation.flwr("run", str(federation.app_copy()), "s", "--format=json", "--run-config", overrides)
        )
        assert answer["success"], answer
        await_event(federation, "training_end", 240)
        run_id = str(answer["run-id"])
    assert federation.running() == []

    (start,) = events_of(federation, "training_start")
    assert start == {"run_id": run_id, "strategy": "FedAvg", "num_rounds": 2, "min_clients": 2, "first_round": 1}
    assert [event["round"] for event in events_of(federation, "round_start")] == [1, 2]
    ends = events_of(federation, "round_end")
    assert [(end["round"], end["num_clients_responded"], end["num_clients_failed"]) for end in ends] == [
        (1, 2, 0),
        (2, 2, 0),
    ]
    metrics = ends[-1]["metrics"]
    assert {"train_loss", "roc_auc", "eval_loss"} == set(metrics)
    assert metrics["roc_auc"] > 0.95

    loaded = {event["source"]: event for event in events_of(federation, "data_loaded")}
    assert loaded["bundled"]["partition_id"] == 1
    assert loaded["folder"]["partition_id"] is None
    assert loaded["folder"]["rows"] == own_rows
    assert len(events_of(federation, "data_loaded")) == 2

    (written,) = events_of(federation, "model_written")
    assert (written["file"], written["round"]) == (f"{run_id}.npz", 2)
    assert details_of(federation.models, int(written["run_id"]))["columns"] == [f"f{number}" for number in range(1, 10)]
    framework, weights, scale = read_federated(federation.models / written["file"])
    assert framework == "sklearn"
    assert weights["hidden.weight"].shape == (9, 8)
    assert np.isfinite(scale.center).all()


def test_the_app_is_built_the_same_every_time(tmp_path: Path) -> None:
    federation = LocalFederation(tmp_path)
    builds: list[Path] = []
    for _ in range(2):
        app = federation.app_copy()
        federation.flwr("build", "--app", str(app))
        (fab,) = [*tmp_path.glob("*.fab"), *app.glob("*.fab")]
        builds.append(fab.rename(tmp_path / f"{len(builds)}-{fab.name}.kept"))
    assert builds[0].read_bytes() == builds[1].read_bytes()
    assert builds[0].name[2:] == builds[1].name[2:]
    with zipfile.ZipFile(builds[0]) as archive:
        assert {"pyproject.toml", "anomaly_detection/server_app.py", "anomaly_detection/client_app.py"} <= set(
            archive.namelist()
        )
