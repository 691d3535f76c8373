from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flwr.app import ConfigRecord, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from conftest import ReadEvents
from oneflower.errors import TrainingFailedError
from oneflower.local import read_run_config
from oneflower.local_grid import identity
from oneflower.model_file import read_model
from oneflower.server import Federation
from oneflower.settings import STRATEGIES, STRATEGY_KEYS, RunConfigError, TrainingSettings
from oneflower.strategies.factory import build_strategy
from oneflower.strategies.fault_tolerant import FaultTolerantFedAvg
from oneflower.strategies.multi_krum import MultiKrum
from tiny_nodes import TinyGrid, Train, context, moving, raising, start

APPS = sorted((Path(__file__).parents[1] / "apps").glob("*/pyproject.toml"))

# What a strategy's object calls the value of a key.
ATTRIBUTES = {
    "proximal-mu": "proximal_mu",
    "server-lr": "eta",
    "num-malicious": "num_malicious_nodes",
    "num-selected": "num_nodes_to_select",
    "trim-beta": "beta",
    "completion-rate": "completion_rate",
    "min-fit-clients": "min_train_nodes",
    "min-evaluate-clients": "min_evaluate_nodes",
    "min-available-clients": "min_available_nodes",
    "round-timeout": "round_timeout",
}


def above(least: float, most: float, *, below: bool = False) -> st.SearchStrategy[float]:
    return st.floats(least, most, exclude_min=True, exclude_max=below)


nodes = st.integers(43, 10_000)
asked = st.fixed_dictionaries(
    {
        "strategy": st.sampled_from(STRATEGIES),
        "proximal-mu": st.floats(0, 1000),
        "server-lr": above(0, 100),
        "num-malicious": st.integers(0, 10),
        "num-selected": st.integers(0, 30),
        "trim-beta": above(0, 0.5, below=True),
        "completion-rate": above(0, 1),
        "min-fit-clients": nodes,
        "min-evaluate-clients": nodes,
        "min-available-clients": nodes,
        "round-timeout": st.integers(1, 43_200),
    }
)


@pytest.fixture(autouse=True)
def _server() -> Iterator[None]:
    with identity(1, 1):
        yield


def toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


@given(app=st.sampled_from(APPS), values=asked)
def test_every_strategy_has_the_values_that_the_run_config_asks_for(app: Path, values: dict[str, Any]) -> None:
    config = read_run_config(app.parent, [f"{key}={toml(value)}" for key, value in values.items()])
    assert {key: config[key] for key in values} == values
    strategy = build_strategy(config)
    assert type(strategy).__name__ == values["strategy"]
    for key, attribute in ATTRIBUTES.items():
        if key.startswith("min-") or values["strategy"] in STRATEGY_KEYS.get(key, ()):
            assert getattr(strategy, attribute) == values[key]
    if isinstance(strategy, FaultTolerantFedAvg):
        assert strategy.round_timeout == values["round-timeout"]


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.parent.name)
def test_what_an_app_declares_are_the_defaults_here(app: Path) -> None:
    declared = read_run_config(app.parent)
    assert TrainingSettings.of_run(declared) == TrainingSettings()
    assert set(STRATEGY_KEYS) <= set(declared)


@pytest.mark.parametrize("name", ["fedavg", "FedYogi", "", "FedAvg ", 1])
def test_an_unknown_strategy_is_an_error_that_names_the_known_ones(name: object) -> None:
    with pytest.raises(RunConfigError, match=r"strategy is .*one of FedAvg, FedProx, .*FaultTolerantFedAvg is wanted"):
        build_strategy({"strategy": name})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("proximal-mu", -0.1),
        ("proximal-mu", float("nan")),
        ("proximal-mu", 1000.5),
        ("server-lr", 0.0),
        ("server-lr", "0.1"),
        ("server-lr", 10**400),
        ("client-lr", -1.0),
        ("num-malicious", -1),
        ("num-malicious", 1.0),
        ("trim-beta", 0.0),
        ("trim-beta", 0.5),
        ("completion-rate", 0.0),
        ("completion-rate", 1.01),
        ("round-timeout", 0),
        ("round-timeout", 43_201),
        ("round-timeout", True),
        ("dp-clipping-norm", -1.0),
        ("dp-noise-multiplier", 1001.0),
        ("stop-on-nan", 1),
        ("checkpoint-enabled", "YES"),
        ("checkpoint-interval", 0),
        ("checkpoint-keep", 0),
        ("resume-from", 3),
    ],
)
def test_a_value_out_of_range_is_named_whatever_the_strategy(key: str, value: object) -> None:
    with pytest.raises(RunConfigError, match=key):
        build_strategy({key: value})


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"strategy": "Bulyan"}, "at least 3 nodes"),
        ({"strategy": "Bulyan", "num-malicious": 1, "min-available-clients": 6}, "at least 7 nodes"),
        ({"strategy": "Bulyan", "num-malicious": 1, "min-fit-clients": 6}, "7 nodes, min-fit-clients is 6"),
        ({"strategy": "Krum", "num-malicious": 1, "min-available-clients": 4}, "at least 5 nodes"),
        ({"strategy": "MultiKrum", "num-selected": 3}, "num-selected is 3"),
        ({"dp-noise-multiplier": 1.0}, "dp-clipping-norm is not given"),
        ({"strategy": "FedMedian", "dp-clipping-norm": 1.0, "dp-noise-multiplier": 1.0}, "FedMedian takes no mean"),
    ],
)
def test_values_that_do_not_go_together_are_refused(values: dict[str, object], problem: str) -> None:
    with pytest.raises(RunConfigError, match=problem):
        build_strategy(values)


@pytest.mark.parametrize(
    ("values", "doubts"),
    [
        ({"strategy": "FedAvg", "proximal-mu": 1.0, "trim-beta": 0.2}, []),
        ({"strategy": "FedAvg", "proximal-mu": 0.5}, ["proximal-mu=0.5 is set, but FedAvg does not use it"]),
        ({"strategy": "FedProx", "proximal-mu": 0.5}, []),
        ({"strategy": "Krum"}, ["Krum chooses little among 2 nodes: it wants 3"]),
        ({"strategy": "FedTrimmedAvg"}, ["trim-beta=0.2 trims nobody among 2 nodes"]),
        ({"strategy": "FedTrimmedAvg", "min-available-clients": 5}, []),
    ],
)
def test_values_that_are_set_but_unused_or_idle_are_told_once(
    values: dict[str, object], doubts: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING", logger="flwr"):
        build_strategy(values)
    assert [record.message for record in caplog.records] == doubts


def weights(grid: TinyGrid, models: Path, **run_config: bool | float | str) -> list[float]:
    asked_for = {"num_server_rounds": 1, **run_config}
    Federation.begin(grid, context(**asked_for)).train(start())
    return [float(value) for value in read_model(models / "1.npz")["w"]]


def trains(*steps: float) -> list[Train]:
    return [moving(step) for step in steps]


def test_the_proximal_weight_reaches_the_nodes() -> None:
    grid = TinyGrid(trains(1, 1))
    strategy = build_strategy({"strategy": "FedProx", "proximal-mu": 0.25})
    messages = strategy.configure_train(1, start(), ConfigRecord(), grid)
    assert [message.content.config_records["config"]["proximal-mu"] for message in messages] == [0.25, 0.25]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"strategy": "FedAvg"}, 22.0),
        ({"strategy": "FedMedian"}, 3.0),
        ({"strategy": "FedTrimmedAvg", "trim_beta": 0.2}, 3.0),
        ({"strategy": "MultiKrum", "num_malicious": 1, "min_available_clients": 5}, 2.5),
        ({"strategy": "MultiKrum", "num_selected": 4, "min_available_clients": 5}, 2.5),
    ],
)
def test_strategies_combine_as_they_say(
    values: dict[str, Any], expected: float, journal: ReadEvents, models: Path
) -> None:
    grid = TinyGrid(trains(1, 2, 3, 4, 100))
    result = weights(grid, models, **values)
    if values.get("strategy") == "MultiKrum" and not values.get("num_selected"):
        # Two of the four near ones: five less the malicious one and two.
        assert result[0] in (1.5, 2.5, 3.5)
    else:
        assert result == [expected] * 3


def test_multi_krum_takes_what_the_replies_allow() -> None:
    strategy = build_strategy({"strategy": "MultiKrum", "num-malicious": 1, "min-available-clients": 5})
    assert isinstance(strategy, MultiKrum)
    grid = TinyGrid([*trains(1, 1, 1, 1, 1, 1), raising])
    messages = strategy.configure_train(1, start(), ConfigRecord(), grid)
    seen: list[int] = []

    def count(contents: list[RecordDict], _: str) -> MetricRecord:
        seen.append(len(contents))
        return MetricRecord()

    strategy.train_metrics_aggr_fn = count
    strategy.aggregate_train(1, grid.send_and_receive(messages))
    assert seen == [3]


def test_a_round_with_too_few_answers_is_repeated(journal: ReadEvents, models: Path) -> None:
    grid = TinyGrid(trains(1, 2, 6), silent=[{0, 1}, {0}])
    asked_for: dict[str, Any] = {"strategy": "FaultTolerantFedAvg", "completion_rate": 0.6, "round_timeout": 77}
    assert weights(grid, models, **asked_for) == [4.0] * 3
    assert grid.timeouts == [77, 77]
    events = journal()
    repeated = [event["data"] for event in events if event["event"] == "round_repeated"]
    error = "1 of 3 nodes answered, 2 are wanted"
    assert repeated == [{"run_id": "1", "round": 1, "attempt": 2, "error": error}]
    end = next(event["data"] for event in events if event["event"] == "round_end")
    assert (end["num_clients_responded"], end["num_clients_failed"]) == (2, 1)


@pytest.mark.parametrize("rate", [1 / 3, 0.3])
def test_a_round_with_enough_answers_is_not_repeated(rate: float, journal: ReadEvents, models: Path) -> None:
    grid = TinyGrid(trains(1, 2, 6), silent=[{0, 1}])
    assert weights(grid, models, strategy="FaultTolerantFedAvg", completion_rate=rate) == [6.0] * 3
    assert grid.exchanges == 1


def test_a_round_that_never_has_enough_answers_ends_the_run(journal: ReadEvents, models: Path) -> None:
    grid = TinyGrid([moving(1), raising])
    with pytest.raises(TrainingFailedError, match="Round 1 was done 3 times and is given up: 1 of 2 nodes answered"):
        weights(grid, models, strategy="FaultTolerantFedAvg", completion_rate=1.0)
    assert grid.exchanges == 3
    assert [event["data"]["attempt"] for event in journal() if event["event"] == "round_repeated"] == [2, 3]
    assert list(models.iterdir()) == []


def test_replies_that_cannot_be_used_count_as_no_answers(journal: ReadEvents, models: Path) -> None:
    grid = TinyGrid([moving(1), moving(float("nan"))])
    with pytest.raises(TrainingFailedError, match="1 of 2 nodes answered"):
        weights(grid, models, strategy="FaultTolerantFedAvg", completion_rate=1.0)


def test_the_model_keeps_its_types(journal: ReadEvents, models: Path) -> None:
    weights(TinyGrid(trains(1, 2)), models, strategy="FedAdam", num_server_rounds=3)
    model = read_model(models / "1.npz")
    assert [str(array.dtype) for array in model.values()] == ["float32", "int64"]
