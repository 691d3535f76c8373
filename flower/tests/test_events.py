import inspect
import math
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import SCHEMAS, ReadEvents, parse_events
from oneflower.events import Events, finite_metrics


def test_every_event_of_the_contract_can_be_sent_and_no_other() -> None:
    methods = {name for name, _ in inspect.getmembers(Events, inspect.isfunction) if not name.startswith("_")}
    assert methods == set(SCHEMAS)


def test_events_are_lines_that_satisfy_the_contract(journal: ReadEvents) -> None:
    events = Events.of_run(2**64 - 1)
    events.training_start(strategy="FedAvg", num_rounds=3, min_clients=2)
    events.round_start(server_round=1, num_clients_selected=2)
    events.client_failure(server_round=1, node_id=2**64 - 1, error="x" * 5000)
    events.round_end(
        server_round=1,
        num_clients_responded=1,
        num_clients_failed=1,
        seconds=math.inf,
        metrics={"nan": math.nan, "list": [1.0], "fine": 0.5, "whole": 3, "n" * 300: 1.0},
    )
    events.model_written(file="7.npz", server_round=1, metrics={"inf": -math.inf})
    events.data_loaded(source="bundled", rows=10, held_out=2, partition_id=None)
    events.data_refused(file="a\nb.csv", line=3, error='"\u2028\x00')
    events.round_repeated(server_round=2, attempt=2, error="e" * 3000)
    events.checkpoint_saved(server_round=2, file="round-000002.npz", size=2**40, best=True)
    events.checkpoint_failed(server_round=2, error="No space left on device" * 200)
    events.model_failed(server_round=2, error="No space left on device" * 200)
    events.waiting_for_nodes(wanted=2, online=0)
    events.node_device(device="cpu", name="n" * 300)
    process = Events.of_process()
    process.worker_warm(program="flwr-clientapp", pid=7, memory_mb=math.inf, modules=("torch",))
    process.worker_cold(program="flwr-clientapp", reason="r" * 3000)
    events.training_end(total_rounds=1, seconds=2.5, metrics={})

    written = journal()

    assert [event["event"] for event in written] == [
        "training_start",
        "round_start",
        "client_failure",
        "round_end",
        "model_written",
        "data_loaded",
        "data_refused",
        "round_repeated",
        "checkpoint_saved",
        "checkpoint_failed",
        "model_failed",
        "waiting_for_nodes",
        "node_device",
        "worker_warm",
        "worker_cold",
        "training_end",
    ]
    of_runs = [event["data"] for event in written if not event["event"].startswith("worker_")]
    assert {data["run_id"] for data in of_runs} == {"18446744073709551615"}
    assert written[0]["data"]["first_round"] == 1
    assert written[3]["data"]["metrics"] == {"fine": 0.5, "whole": 3, "n" * 100: 1.0}
    assert written[4]["data"] == {"run_id": str(2**64 - 1), "file": "7.npz", "round": 1, "metrics": {}}


def test_timestamps_bear_an_offset(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    events = Events(1, file, now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    events.round_start(server_round=1, num_clients_selected=1)
    assert parse_events(file.read_text())[0]["timestamp"] == "2026-01-02T03:04:05.000+00:00"


def test_without_the_variable_nothing_is_written_and_one_line_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="flwr"):
        events = Events.of_run(1, environment={})
        events.round_start(server_round=1, num_clients_selected=1)
        events.training_end(total_rounds=1, seconds=1, metrics={})
    assert [record.message for record in caplog.records] == ["ONEFLOWER_EVENTS is not set: no events are written"]


def test_a_journal_that_cannot_be_written_ends_no_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    events = Events(1, tmp_path / "absent" / "events.jsonl")
    events.round_start(server_round=1, num_clients_selected=1)
    assert "could not be written" in caplog.text


def test_lines_of_many_writers_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"

    def write(run: int) -> None:
        events = Events(run, file)
        for node in range(50):
            events.client_failure(server_round=1, node_id=node, error="e" * 1999)

    writers = [threading.Thread(target=write, args=(run,)) for run in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(parse_events(file.read_text())) == 200


@given(st.dictionaries(st.text(), st.one_of(st.floats(), st.integers(), st.booleans(), st.none(), st.text())))
def test_metrics_are_always_finite_numbers(metrics: dict[str, object]) -> None:
    for name, value in finite_metrics(metrics).items():
        assert len(name) <= 100
        assert math.isfinite(value)
