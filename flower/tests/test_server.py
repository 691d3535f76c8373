import math
from pathlib import Path

import numpy as np
import pytest
from flwr.app import MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAdam

from conftest import ReadEvents, details_of
from memory_grid import BIG_NODE, MemoryGrid, context_of, failing, initial, names, node, silent
from oneflower.events import Events
from oneflower.metrics import average_metrics, is_broken
from oneflower.model_file import read_model
from oneflower.server import Federation, TrainingFailedError
from oneflower.settings import RunConfigError
from oneflower.waiting import wait_for_nodes

pytestmark = pytest.mark.usefixtures("server_app")


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
    assert details_of(models, 2**63 + 1)["columns"] == ["a"]
    assert events[6]["data"]["total_rounds"] == 2

    model = read_model(models / written["file"])
    assert list(model) == [*(f"layer.{number}" for number in range(12)), "center"]
    np.testing.assert_allclose(model["layer.11"], [5.0, 5.0])
    assert model["layer.11"].dtype == np.float32


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


def test_a_huge_number_of_one_node_is_no_training_that_has_come_apart() -> None:
    contents = [RecordDict({"m": MetricRecord({"eval_loss": loss, "num-examples": 100})}) for loss in (0.3, 1e308, 0.3)]
    assert not is_broken("eval_loss", average_metrics(contents, "num-examples")["eval_loss"])
