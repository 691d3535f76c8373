import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAdam
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from conftest import ReadEvents
from oneflower.events import Events
from oneflower.metrics import average_metrics
from oneflower.model_file import read_model
from oneflower.server import Federation, TrainingFailedError
from oneflower.settings import RunConfigError
from oneflower.strategy import NO_REPLY
from oneflower.waiting import wait_for_nodes

Answer = Callable[[Message], Message | None]
BIG_NODE = 2**63 + 5


@pytest.fixture(autouse=True)
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Flower sets in the process of a ServerApp before it may make messages."""
    for name, value in (("_run_id", 2**63 + 1), ("_node_id", 1), ("_task_id", 1)):
        monkeypatch.setattr(TaskIdentity, name, value)


class MemoryGrid(Grid):
    """A grid whose nodes answer in this process; None is a node that keeps silent."""

    def __init__(self, nodes: Mapping[int, Answer]) -> None:
        self._nodes = nodes
        self.online = [list(nodes)]

    def get_node_ids(self) -> Iterable[int]:
        return self.online.pop(0) if len(self.online) > 1 else self.online[0]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        answers = [self._nodes[message.metadata.dst_node_id](message) for message in messages]
        return [answer for answer in answers if answer is not None]

    def set_run(self, run: Run) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Run:
        raise NotImplementedError

    def create_message(self, *arguments: object, **named: object) -> Message:
        raise NotImplementedError

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise NotImplementedError


def node(step: float, roc_auc: float = 0.5, examples: int = 10) -> Answer:
    """A node that adds ``step`` to the arrays."""

    def answer(message: Message) -> Message:
        metrics = MetricRecord({"num-examples": examples, "roc_auc": roc_auc})
        if message.metadata.message_type != "train":
            return Message(RecordDict({"metrics": metrics}), reply_to=message)
        arrays = message.content["arrays"]
        assert isinstance(arrays, ArrayRecord)
        moved = ArrayRecord({name: Array(array.numpy() + np.float32(step)) for name, array in arrays.items()})
        return Message(RecordDict({"arrays": moved, "metrics": metrics}), reply_to=message)

    return answer


def failing(message: Message) -> Message:
    reason = "<class 'oneflower.rows.DataRefusedError'>:<'rows.csv, line 2: bad'>"
    return Message(Error(code=2, reason=reason), reply_to=message)


def silent(message: Message) -> None:
    return None


def failing_in(kind: str, otherwise: Answer) -> Answer:
    return lambda message: failing(message) if message.metadata.message_type == kind else otherwise(message)


def lost(message: Message) -> Message:
    """What the SuperLink answers in the place of a node that is gone, under its own id."""
    message.metadata.__dict__["_message_id"] = f"to {message.metadata.dst_node_id}"
    reply = Message(Error(code=5, reason="gone"), reply_to=message)
    reply.metadata.__dict__["_src_node_id"] = 1
    return reply


def context_of(**run_config: bool | float | str) -> Context:
    config = {key.replace("_", "-"): value for key, value in run_config.items()}
    return Context(run_id=2**63 + 1, node_id=0, node_config={}, state=RecordDict(), run_config=config)


def initial() -> ArrayRecord:
    return ArrayRecord({f"layer.{number}": Array(np.zeros(2, dtype=np.float32)) for number in range(12)})


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


def test_a_run_is_told_from_start_to_model(journal: ReadEvents, models: Path) -> None:
    grid = MemoryGrid({1: node(1.0, 0.8), BIG_NODE: node(3.0, 0.6, examples=30)})
    federation = Federation.begin(grid, context_of(num_server_rounds=2))
    federation.train(initial(), constants={"center": np.array([5.0])}, details={"columns": ["a"]})

    events = journal()
    assert names(events) == [
        "training_start",
        "round_start",
        "round_end",
        "round_start",
        "round_end",
        "model_written",
        "training_end",
    ]
    assert events[0]["data"] == {
        "run_id": "9223372036854775809",
        "strategy": "FedAvg",
        "num_rounds": 2,
        "min_clients": 2,
        "first_round": 1,
    }
    assert events[1]["data"]["num_clients_selected"] == 2
    end = events[4]["data"]
    assert (end["round"], end["num_clients_responded"], end["num_clients_failed"]) == (2, 2, 0)
    assert end["metrics"] == {"roc_auc": pytest.approx(0.65)}
    written = events[5]["data"]
    assert written["file"] == "9223372036854775809.npz"
    assert written["round"] == 2
    assert written["details"]["columns"] == ["a"]
    assert events[6]["data"]["total_rounds"] == 2

    model = read_model(models / written["file"])
    assert list(model) == [*(f"layer.{number}" for number in range(12)), "center"]
    np.testing.assert_allclose(model["layer.11"], [5.0, 5.0])
    assert model["layer.11"].dtype == np.float32


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


def test_a_run_without_any_result_fails_and_keeps_no_model(journal: ReadEvents, models: Path) -> None:
    federation = Federation.begin(MemoryGrid({1: failing, 2: silent}), context_of(num_server_rounds=1))
    with pytest.raises(TrainingFailedError):
        federation.train(initial())
    assert "training_end" not in names(journal())
    assert list(models.iterdir()) == []


def test_any_strategy_can_be_given_and_keeps_its_state(journal: ReadEvents, models: Path) -> None:
    def run(strategy: FedAdam) -> None:
        grid = MemoryGrid({1: node(1.0), 2: node(2.0)})
        Federation.begin(grid, context_of(num_server_rounds=3), strategy).train(initial())

    strategy = FedAdam(eta=0.5)
    run(strategy)
    plain = FedAdam(eta=0.5)
    expected = plain.start(MemoryGrid({1: node(1.0), 2: node(2.0)}), initial(), num_rounds=3)
    model = read_model(models / "9223372036854775809.npz")
    for name, array in expected.arrays.items():
        # Flower's FedAdam makes double precision of single; the model keeps the type that it began with.
        assert model[name].dtype == np.float32
        np.testing.assert_allclose(model[name], array.numpy(), rtol=1e-6)
    assert strategy.m_t is not None
    assert journal()[0]["data"]["strategy"] == "FedAdam"


def test_a_round_ends_after_the_evaluation_on_the_server(journal: ReadEvents, models: Path) -> None:
    federation = Federation.begin(MemoryGrid({1: node(1.0), 2: node(1.0)}), context_of(num_server_rounds=2))
    federation.train(initial(), evaluate_fn=lambda number, _: MetricRecord({"server_accuracy": number / 10}))
    ends = [event["data"]["metrics"]["server_accuracy"] for event in journal() if event["event"] == "round_end"]
    assert ends == [0.1, 0.2]


def test_without_a_models_folder_a_run_still_ends(journal: ReadEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEFLOWER_MODELS", raising=False)
    Federation.begin(MemoryGrid({1: node(1.0), 2: node(1.0)}), context_of(num_server_rounds=1)).train(initial())
    assert names(journal())[-1] == "training_end"
    assert "model_written" not in names(journal())


def test_an_array_is_trained_or_constant() -> None:
    federation = Federation.begin(MemoryGrid({1: node(1.0), 2: node(1.0)}), context_of())
    with pytest.raises(ValueError, match=r"both trained and constant: layer\.3"):
        federation.train(initial(), constants={"layer.3": np.zeros(1)})


def test_a_question_waits_for_nodes_and_tells_failures_as_round_0(journal: ReadEvents) -> None:
    grid = MemoryGrid({1: node(1.0), 2: node(1.0), 3: failing})
    grid.online = [[], [1], [1, 2, 3]]
    waits: list[float] = []
    answers = Federation.begin(grid, context_of(), sleep=waits.append).ask()
    assert sorted(answers) == [1, 2]
    assert waits == [1, 1]
    failure = journal()[-1]["data"]
    assert (failure["round"], failure["node_id"]) == (0, "3")


def test_too_few_answers_fail_the_run() -> None:
    with pytest.raises(TrainingFailedError, match="1 of 2 nodes answered"):
        Federation.begin(MemoryGrid({1: node(1.0), 2: failing}), context_of()).ask()


@pytest.mark.parametrize("value", [0, -1, 1.5, "3", True, 10**9, math.nan])
def test_bad_run_configuration_is_named_all_at_once(value: float | str, journal: ReadEvents) -> None:
    with pytest.raises(RunConfigError, match=r"num-server-rounds is .*min-fit-clients is "):
        Federation.begin(MemoryGrid({}), context_of(num_server_rounds=value, min_fit_clients=value))
    assert journal() == []


def test_settings_reach_the_strategy_and_a_round_waits_for_its_nodes(journal: ReadEvents, models: Path) -> None:
    grid = MemoryGrid({number: node(1.0) for number in range(1, 6)})
    grid.online = [[1], [1, 2], [1, 2, 3, 4, 5]]
    context = context_of(num_server_rounds=1, min_fit_clients=4, min_evaluate_clients=3, min_available_clients=5)
    waits: list[float] = []
    Federation.begin(grid, context, sleep=waits.append).train(initial())
    assert waits == [1, 1]
    start, *waiting, begun = journal()[:4]
    assert start["data"]["min_clients"] == 5
    assert [(event["event"], event["data"]["online"]) for event in waiting] == [
        ("waiting_for_nodes", 1),
        ("waiting_for_nodes", 2),
    ]
    assert begun["data"]["num_clients_selected"] == 5


def test_a_wait_is_told_at_each_change_and_every_minute(caplog: pytest.LogCaptureFixture, journal: ReadEvents) -> None:
    grid = MemoryGrid({})
    grid.online = [[]] * 125 + [[1]] * 3 + [[1, 2]]
    with caplog.at_level("INFO", logger="flwr"):
        assert wait_for_nodes(grid, 2, lambda _: None, Events.of_run(1)) == [1, 2]
    told = [record.message for record in caplog.records]
    assert told == [
        *["Waiting for nodes: 0 of 2 are online"] * 3,
        "Waiting for nodes: 1 of 2 are online",
        "2 nodes are online: training goes on",
    ]
    assert [(event["event"], event["data"]["wanted"], event["data"]["online"]) for event in journal()] == [
        ("waiting_for_nodes", 2, 0),
        ("waiting_for_nodes", 2, 1),
    ]


def test_a_loss_that_no_node_can_state_stays_visible() -> None:
    contents = [
        RecordDict({"m": MetricRecord({"train_loss": math.inf, "eval_loss": 0.5, "num-examples": 1})}),
        RecordDict({"m": MetricRecord({"train_loss": math.nan, "eval_loss": math.nan, "num-examples": 1})}),
    ]
    mean = dict(average_metrics(contents, "num-examples"))
    assert mean == {"eval_loss": 0.5, "train_loss": pytest.approx(math.nan, nan_ok=True)}


def test_a_metric_that_a_node_cannot_state_does_not_spoil_the_mean() -> None:
    def content(roc_auc: float, examples: int) -> RecordDict:
        return RecordDict({"m": MetricRecord({"roc_auc": roc_auc, "num-examples": examples})})

    mean = average_metrics([content(math.nan, 100), content(0.9, 10), content(0.6, 20)], "num-examples")
    assert dict(mean) == {"roc_auc": pytest.approx(0.7)}
    assert dict(average_metrics([content(math.nan, 100)], "num-examples")) == {}
