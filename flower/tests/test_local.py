import json
import subprocess
import sys
from pathlib import Path

import pytest

from oneflower.local import LocalRunError, read_run_config, run_local

FLOWER = Path(__file__).parents[1]

SERVER = """
import numpy as np
from flwr.app import Array, ArrayRecord
from flwr.serverapp import ServerApp
from oneflower.server import Federation

app = ServerApp()


@app.main()
def main(grid, context):
    start = ArrayRecord({"w": Array(np.zeros(3, dtype=np.float32))})
    Federation.begin(grid, context).train(start)
"""

CLIENT = """
import os
import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


def answer(message, context, content):
    calls = context.state["calls"]["n"] if "calls" in context.state else 0
    context.state["calls"] = ConfigRecord({"n": calls + 1})
    print("printed by a ClientApp")
    metrics = {"num-examples": 1, "calls": calls, "place": context.node_config["partition-id"]}
    return Message(RecordDict({"metrics": MetricRecord(metrics), **content}), reply_to=message)


@app.train()
def train(message, context):
    if context.node_config["partition-id"] == context.run_config["raises"]:
        context.state["calls"] = ConfigRecord({"n": 1000})
        raise ValueError("rows.csv is bad")
    step = len(os.environ.get("ONEFLOWER_DATA", ""))
    arrays = {name: Array(array.numpy() + np.float32(step)) for name, array in message.content["arrays"].items()}
    return answer(message, context, {"arrays": ArrayRecord(arrays)})


@app.evaluate()
def evaluate(message, context):
    return answer(message, context, {})
"""

PROJECT = """
[project]
name = "tiny"
version = "1.0.0"
description = "x"
license = "Apache-2.0"
dependencies = []

[tool.flwr.app]
publisher = "test"

[tool.flwr.app.components]
serverapp = "PACKAGE.server:app"
clientapp = "PACKAGE.client:app"

[tool.flwr.app.config]
num-server-rounds = 2
min-available-clients = 2
strategy = "FedAvg"
raises = -1
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An app whose arrays grow by the length of the path of a node's data folder."""
    package = f"tiny_{abs(hash(tmp_path))}"
    (tmp_path / package).mkdir()
    for name, text in (("__init__", ""), ("server", SERVER), ("client", CLIENT)):
        (tmp_path / package / f"{name}.py").write_text(text)
    (tmp_path / "pyproject.toml").write_text(PROJECT.replace("PACKAGE", package))
    return tmp_path


def test_a_run_ends_with_rounds_events_and_a_model(app: Path) -> None:
    done = run_local(app, 2, data=[Path("/ab"), Path("/abcd")])
    assert done.error is None
    assert [(end["round"], end["failed"]) for end in done.rounds] == [(1, 0), (2, 0)]
    assert done.arrays["w"].tolist() == [8.0, 8.0, 8.0]
    # Each node has its own number and its own state, which lasts from message to message.
    assert done.rounds[1]["metrics"] == {"calls": 3.0, "place": 0.5}
    assert done.events[-1]["event"] == "training_end"
    assert done.sha256 == run_local(app, 2, data=[Path("/ab"), Path("/abcd")]).sha256
    assert run_local(app, 2).sha256 != done.sha256


def test_a_client_that_raises_is_a_failure_of_its_node_and_keeps_its_state(app: Path) -> None:
    done = run_local(app, 3, ["raises=2"])
    assert [end["failed"] for end in done.rounds] == [1, 1]
    failures = [event["data"] for event in done.events if event["event"] == "client_failure"]
    assert {(failure["node_id"], failure["error"]) for failure in failures} == {("1003", "rows.csv is bad (code 2)")}
    assert done.metric("calls") == pytest.approx((3 + 3 + 1) / 3)


def test_a_run_that_fails_says_why(app: Path) -> None:
    done = run_local(app, 2, ["num-server-rounds=0"])
    assert done.error is not None
    assert "num-server-rounds is 0" in done.error
    assert done.sha256 is None
    with pytest.raises(KeyError, match="num-server-rounds"):
        done.metric("calls")


def test_waiting_for_nodes_that_there_are_not_is_an_error(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    done = run_local(app, 2, ["min-available-clients=3"])
    assert done.error == "The app waits for more than the 2 nodes that there are"


def test_run_config_keeps_types_and_refuses_what_is_not_declared(app: Path) -> None:
    assert read_run_config(app, ['strategy="Krum"', "raises=3"])["strategy"] == "Krum"
    for pairs in (["stratgy=1"], ["strategy=Krum"], ["raises=["]):
        with pytest.raises(LocalRunError):
            read_run_config(app, pairs)
    with pytest.raises(LocalRunError):
        read_run_config(app / "nowhere")


def test_data_folders_are_one_for_each_node(app: Path) -> None:
    with pytest.raises(LocalRunError, match="2 data folders for 3 nodes"):
        run_local(app, 3, data=[app, app])


@pytest.mark.parametrize(("pair", "status"), [("raises=-1", 0), ("num-server-rounds=0", 1), ("unknown=1", 2)])
def test_the_command_prints_one_document_and_nothing_else(app: Path, pair: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "oneflower.local", str(app), "--nodes", "2", "--run-config", pair],
        env={"PYTHONPATH": str(FLOWER / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    document = json.loads(done.stdout)
    assert set(document) == {"sha256", "details", "rounds", "events", "error"}
    assert (document["error"] is None) == (status == 0)
