from pathlib import Path
from typing import Any

import pytest

from conftest import ReadEvents
from memory_grid import BIG_NODE, MemoryGrid, context_of, failing, failing_in, forging, initial, lost, node, silent
from oneflower.server import Federation, TrainingFailedError
from oneflower.strategy import NO_REPLY

pytestmark = pytest.mark.usefixtures("server_app")


def test_errors_and_silence_of_nodes_are_told_and_counted(journal: ReadEvents, models: Path) -> None:
    nodes = {1: node(1.0), BIG_NODE: failing, 3: silent, 4: failing_in("evaluate", node(1.0))}
    Federation.begin(MemoryGrid(nodes), context_of(num_server_rounds=1)).train(initial())
    failures = [event["data"] for event in journal() if event["event"] == "client_failure"]
    text = "rows.csv, line 2: bad (code 2)"
    assert sorted((failure["node_id"], failure["error"]) for failure in failures) == sorted(
        [(str(BIG_NODE), text)] * 2 + [("3", NO_REPLY)] * 2 + [("4", text)]
    )
    end = next(event["data"] for event in journal() if event["event"] == "round_end")
    assert (end["num_clients_responded"], end["num_clients_failed"]) == (2, 3)


@pytest.mark.parametrize("strategy", ["FedAvg", "FaultTolerantFedAvg"])
def test_a_node_that_is_lost_is_told_by_its_own_id_and_counted_once(
    strategy: str, journal: ReadEvents, models: Path
) -> None:
    nodes = {11: node(1.0), 12: lost, 13: lost}
    asked: dict[str, Any] = {"num_server_rounds": 1, "strategy": strategy, "completion_rate": 0.3}
    Federation.begin(MemoryGrid(nodes), context_of(**asked)).train(initial())
    failures = [event["data"] for event in journal() if event["event"] == "client_failure"]
    assert sorted(failure["node_id"] for failure in failures) == ["12", "12", "13", "13"]
    assert {failure["error"] for failure in failures} == {"gone (code 5)"}
    end = next(event["data"] for event in journal() if event["event"] == "round_end")
    assert (end["num_clients_responded"], end["num_clients_failed"]) == (1, 2)


def test_a_lost_node_that_is_asked_again_is_told_by_its_own_id(journal: ReadEvents, models: Path) -> None:
    asked: dict[str, Any] = {"strategy": "FaultTolerantFedAvg", "completion_rate": 1.0}
    with pytest.raises(TrainingFailedError, match="given up"):
        Federation.begin(MemoryGrid({11: node(1.0), 12: lost}), context_of(**asked)).train(initial())
    failures = [event["data"] for event in journal() if event["event"] == "client_failure"]
    assert [failure["node_id"] for failure in failures] == ["12"] * 3


def test_a_lost_node_is_told_by_its_own_id_when_it_is_asked_a_question(journal: ReadEvents) -> None:
    asked: dict[str, Any] = {"min_fit_clients": 1, "min_evaluate_clients": 1}
    answers = Federation.begin(MemoryGrid({11: node(1.0), 12: lost}), context_of(**asked)).ask()
    assert list(answers) == [11]
    failures = [event["data"] for event in journal() if event["event"] == "client_failure"]
    assert [(failure["round"], failure["node_id"]) for failure in failures] == [(0, "12")]


def test_what_a_node_says_is_no_line_of_the_log(
    journal: ReadEvents, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = {1: node(1.0), 2: node(1.0), 3: forging}
    with caplog.at_level("INFO", logger="flwr"):
        federation = Federation.begin(MemoryGrid(nodes), context_of(num_server_rounds=1))
        federation.ask()
        federation.train(initial())
    told = [record.getMessage() for record in caplog.records if "Round 9 completed" in record.getMessage()]
    assert len(told) == 3, "our warning of the question, and Flower's of the training and the evaluation"
    assert all(text.strip().isprintable() for text in told)
    failures = [event["data"]["error"] for event in journal() if event["event"] == "client_failure"]
    assert failures == ["bad [2JINFO : Round 9 completed (code 2)"] * 3
