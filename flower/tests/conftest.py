import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flwr.supercore.task_identity import TaskIdentity
from hypothesis import settings

from oneflower.checkpoints.resume import CHECKPOINTS_VARIABLE
from oneflower.events import EVENTS_VARIABLE
from oneflower.model_file import MODELS_VARIABLE

# The same values in each run: what fails once fails again.
settings.register_profile("fixed", derandomize=True)
settings.load_profile("fixed")

FLOWER = Path(__file__).parents[1]
SCHEMAS: dict[str, dict[str, Any]] = json.loads((FLOWER / "tests" / "events.schema.json").read_text())

Event = dict[str, Any]
ReadEvents = Callable[[], list[Event]]


def parse_events(text: str) -> list[Event]:
    """The events of a journal, each valid by the contract."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    events = [json.loads(line, parse_constant=refuse) for line in text.splitlines()]
    for event in events:
        assert set(event) == {"event", "timestamp", "data"}
        jsonschema.validate(event["data"], SCHEMAS[event["event"]])
    return events


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReadEvents:
    """Has apps write their events to a file; returns what reads them, checked against the contract."""
    file = tmp_path / "events.jsonl"
    monkeypatch.setenv(EVENTS_VARIABLE, str(file))
    return lambda: parse_events(file.read_text()) if file.exists() else []


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder for final models."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv(MODELS_VARIABLE, str(folder))
    return folder


def details_of(models: Path, run_id: int = 1) -> dict[str, Any]:
    """What is told of a run's final model."""
    details: dict[str, Any] = json.loads((models / f"{run_id}.json").read_text())
    return details


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder for checkpoints."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    monkeypatch.setenv(CHECKPOINTS_VARIABLE, str(folder))
    return folder


@pytest.fixture
def server_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Flower sets in the process of a ServerApp before it may make messages."""
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)
