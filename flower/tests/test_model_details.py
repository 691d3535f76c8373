"""What the final model says of itself."""

import json
import math
from pathlib import Path

import pytest
from flwr.serverapp.strategy import FedAdam

from conftest import ReadEvents, details_of
from oneflower.model_details import write_details
from oneflower.server import Federation
from resumable import NODES, ROUNDS, Nodes, context_of, initial, run

pytestmark = pytest.mark.usefixtures("server_app")


def test_the_model_tells_enough_for_a_card(checkpoints: Path, models: Path) -> None:
    context = context_of(1, framework="pytorch")
    metrics = {number: {"privacy_epsilon": number / 2} for number in range(1, 7)}
    Federation.begin(Nodes(metrics=metrics, versions=True), context, FedAdam(eta=0.25), app="mine").train(initial())
    details = details_of(models)
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


def test_a_model_of_many_columns_and_rounds_is_told_whole(models: Path, journal: ReadEvents) -> None:
    columns = [f"sensor_temperature_{place:04}" for place in range(1200)]
    metrics = {number: {f"metric_{place}": number / 7 + place for place in range(30)} for number in range(1, 101)}
    context = context_of(1, num_server_rounds=100, checkpoint_enabled=False)
    run(context, Nodes(metrics=metrics), details={"columns": columns})
    # The agent reads lines of at most 24 KiB, and its own events have no use for details.
    assert len(json.dumps(journal()[-2])) < 4 * 1024
    details = details_of(models)
    assert details["columns"] == columns
    assert [record["round"] for record in details["history"]] == list(range(1, 101))
    assert details["history"][49]["metrics"]["metric_3"] == pytest.approx(50 / 7 + 3)
    assert (models / "1.json").stat().st_mode & 0o777 == 0o640
    assert sorted(file.name for file in models.iterdir()) == ["1.json", "1.npz"]


def test_a_disk_that_refuses_the_details_keeps_no_model_back(
    models: Path, journal: ReadEvents, caplog: pytest.LogCaptureFixture
) -> None:
    (models / "1.json").mkdir()
    (models / "1.json" / "full").touch()
    run(context_of(1, checkpoint_enabled=False), Nodes())
    assert (models / "1.npz").exists()
    assert [event["event"] for event in journal()[-2:]] == ["model_written", "training_end"]
    assert "What is told of the model could not be written" in caplog.text
    assert [file.name for file in models.iterdir() if file.name.startswith(".")] == []


def test_details_are_what_json_can_carry(tmp_path: Path) -> None:
    write_details({"a": [math.nan, {"b": Path("c")}], 'q"\n': 1, "d": (True, None, -math.inf)}, tmp_path / "d.json")
    text = (tmp_path / "d.json").read_text("ascii")
    assert json.loads(text) == {"a": [None, {"b": "c"}], 'q"\n': 1, "d": [True, None, None]}
