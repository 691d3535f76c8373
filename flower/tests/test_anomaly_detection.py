import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ConfigRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from anomaly_detection import autoencoder, compare, model, training
from anomaly_detection.exchange import ExchangeError, agree, read_scale, scale_answer, scale_config
from anomaly_detection.plan import TrainingPlan, framework_of
from anomaly_detection.scaling import Scale
from anomaly_detection.types import Weights
from oneflower.model_file import write_model
from oneflower.rows import Rows
from oneflower.settings import RunConfigError

PLAN = TrainingPlan.of_run({})


def rows_of(columns: tuple[str, ...], count: int = 40) -> Rows:
    generator = np.random.default_rng(3)
    return Rows(columns, generator.normal(size=(count, len(columns))), generator.integers(0, 2, count))


def federate(partitions: int, rounds: int) -> tuple[Weights, Scale]:
    """What Flower does between the nodes, without Flower."""
    shards = [shard.train for shard in compare.shards_of(partitions)]
    columns, scale = agree({place: scale_answer(rows) for place, rows in enumerate(shards)})
    weights = model.initial_weights(len(columns), PLAN)
    total = sum(len(rows) for rows in shards)
    for server_round in range(1, rounds + 1):
        trained = [
            training.train(weights, scale.apply(rows.features), rows.labels, PLAN, server_round) for rows in shards
        ]
        weights = {
            name: np.sum([each[name] * (len(rows) / total) for each, rows in zip(trained, shards, strict=True)], axis=0)
            for name in weights
        }
    return weights, scale


def test_three_nodes_together_beat_each_alone_and_come_near_all_rows_in_one_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, scale = federate(3, 3)
    file = tmp_path / "model.npz"
    write_model({**weights, "center": scale.center, "width": scale.width}, file)
    assert compare.main(["--model", str(file), "--partitions", "3", "--rounds", "3", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["federated"] > 0.999
    assert result["central"] > 0.999
    assert result["bestSingle"] == max(result["single"]) < 0.996
    # At least five times fewer pairs of rows in the wrong order.
    assert 1 - result["federated"] < (1 - result["bestSingle"]) / 5


def test_compare_says_what_is_wrong_with_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare.main(["--model", str(tmp_path / "absent.npz")]) == 1
    write_model({"a": np.zeros(1)}, tmp_path / "other.npz")
    assert compare.main(["--model", str(tmp_path / "other.npz")]) == 1
    assert "no array hidden.weight" in capsys.readouterr().err
    foreign = {**model.initial_weights(2, PLAN), "center": np.zeros(2), "width": np.ones(2)}
    write_model(foreign, tmp_path / "foreign.npz")
    assert compare.main(["--model", str(tmp_path / "foreign.npz")]) == 1
    assert "rows of 2 columns" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--partitions", "0"], ["--partitions", "401"], ["--rounds", "x"], []])
def test_compare_refuses_wrong_arguments(wrong: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        compare.main([*(["--model", "m.npz"] if wrong else []), *wrong])


def test_training_is_the_same_every_time_and_leaves_its_input_alone() -> None:
    rows = rows_of(("a", "b"))
    start = model.initial_weights(2, PLAN)
    before = {name: array.copy() for name, array in start.items()}
    one, other = (training.train(start, rows.features, rows.labels, PLAN, 1) for _ in range(2))
    for name in model.ARRAY_NAMES:
        np.testing.assert_array_equal(one[name], other[name])
        np.testing.assert_array_equal(start[name], before[name])
        assert not np.array_equal(one[name], start[name])


@pytest.mark.parametrize("label", [0, 1])
def test_rows_of_one_label_train_and_leave_the_roc_auc_undefined(label: int) -> None:
    rows = rows_of(("a", "b"))
    labels = np.full(len(rows), label)
    trained = training.train(model.initial_weights(2, PLAN), rows.features, labels, PLAN, 1)
    assert math.isnan(training.roc_auc(trained, rows.features, labels))
    assert training.loss(trained, rows.features, labels) < training.loss(
        model.initial_weights(2, PLAN), rows.features, labels
    )


@pytest.mark.parametrize("count", [1, 2, 63, 65])
def test_any_number_of_rows_can_be_trained_on(count: int) -> None:
    rows = rows_of(("a",), count)
    trained = training.train(model.initial_weights(1, PLAN), rows.features, rows.labels, PLAN, 1)
    assert all(np.isfinite(array).all() for array in trained.values())


def test_the_plan_reaches_the_training() -> None:
    rows = rows_of(("a", "b"))

    def trained(**run_config: float) -> Weights:
        plan = TrainingPlan.of_run({key.replace("_", "-"): value for key, value in run_config.items()})
        return training.train(model.initial_weights(2, plan), rows.features, rows.labels, plan, 1)

    usual = trained()["hidden.weight"]
    assert trained(hidden_units=5)["hidden.weight"].shape == (2, 5)
    for changed in ({"local_epochs": 4}, {"client_lr": 0.2}, {"seed": 2}):
        assert not np.array_equal(trained(**changed)["hidden.weight"], usual)


def test_a_client_lr_of_0_is_that_of_the_app() -> None:
    assert TrainingPlan.of_run({"client-lr": 0.0}) == PLAN
    assert PLAN.learning_rate == 0.1


def test_the_proximal_term_draws_back_to_the_common_model_and_vanishes_with_mu() -> None:
    rows = rows_of(("a", "b"), 200)
    start = model.initial_weights(2, PLAN)

    def trained(mu: float) -> Weights:
        return training.train(start, rows.features, rows.labels, PLAN, 1, mu)

    def distance(weights: Weights) -> float:
        return math.sqrt(sum(float(((weights[name] - start[name]) ** 2).sum()) for name in start))

    free = trained(0.0)
    for name, array in training.train(start, rows.features, rows.labels, PLAN, 1).items():
        np.testing.assert_array_equal(free[name], array)
    for name, array in trained(1e-12).items():
        np.testing.assert_allclose(array, free[name], atol=1e-9)
    assert distance(trained(5.0)) < 0.5 * distance(trained(0.5)) < 0.5 * distance(free)


def test_one_step_moves_along_the_gradient_of_the_loss_and_of_the_squared_distance() -> None:
    """Two batches: the first pulls nowhere, as the weights are still the common ones; the second by mu * (w - w_g)."""
    plan = TrainingPlan.of_run({"local-epochs": 2, "client-lr": 0.05})
    once = TrainingPlan.of_run({"local-epochs": 1, "client-lr": 0.05})
    rows = rows_of(("a", "b"), 8)
    start = model.initial_weights(2, plan)
    first = training.train(start, rows.features, rows.labels, once, 1)
    free, drawn = (training.train(start, rows.features, rows.labels, plan, 1, mu) for mu in (0.0, 2.0))
    for name in start:
        # Nesterov's momentum applies a gradient (1 + momentum) times at once.
        expected = -1.9 * 0.05 * 2.0 * (first[name] - start[name])
        np.testing.assert_allclose(drawn[name] - free[name], expected, rtol=1e-9, atol=1e-12)


def test_each_framework_has_its_network_and_step_and_others_are_refused() -> None:
    plan = TrainingPlan.of_run({"framework": "pytorch", "client-lr": 0.0})
    assert (plan.framework, plan.learning_rate) == ("pytorch", autoencoder.LEARNING_RATE)
    weights = autoencoder.initial_weights(9, plan)
    assert weights["code.weight"].shape == (3, 16)
    assert framework_of(weights) == "pytorch"
    assert framework_of(model.initial_weights(9, PLAN)) == "sklearn"
    for other in ("tensorflow", "", 1):
        with pytest.raises(RunConfigError, match="runs on sklearn or pytorch"):
            TrainingPlan.of_run({"framework": other})


def test_bad_values_of_the_plan_are_named_together() -> None:
    with pytest.raises(RunConfigError, match=r"local-epochs is 0.*client-lr is nan.*hidden-units is '16'"):
        TrainingPlan.of_run({"local-epochs": 0, "client-lr": math.nan, "hidden-units": "16"})


@given(st.lists(st.lists(st.floats(-1e100, 1e100), min_size=2, max_size=2), min_size=1, max_size=30))
def test_scaled_rows_are_finite_whatever_the_sensors_say(table: list[list[float]]) -> None:
    features = np.array(table)
    scaled = Scale.of_rows(features).apply(features)
    assert np.isfinite(scaled).all()


def test_nodes_agree_on_the_median_of_their_scales() -> None:
    columns = ("a",)

    def answer(*values: float) -> RecordDict:
        return scale_answer(Rows(columns, np.array(values)[:, None], np.zeros(len(values), int)))

    hostile = RecordDict({"scale": ConfigRecord({"columns": ["a"], "center": [1e300], "width": [1e300]})})
    agreed, scale = agree({1: answer(0.0, 2.0), 2: answer(10.0, 14.0), 3: answer(2.0, 4.0), 4: hostile, 5: answer(5.0)})
    assert agreed == columns
    assert scale.center.tolist() == [5.0]
    assert scale.width.tolist() == pytest.approx([1.6])
    back = read_scale(scale_config(agreed, scale), columns)
    np.testing.assert_array_equal(back.width, scale.width)


def test_other_columns_are_refused_by_server_and_node() -> None:
    answers = {1: scale_answer(rows_of(("a", "b"))), 2: scale_answer(rows_of(("a", "c")))}
    with pytest.raises(ExchangeError, match="Node 2 holds the columns a, c; other nodes hold a, b"):
        agree(answers)
    with pytest.raises(ExchangeError, match="about the columns a, b; this node holds b, a"):
        read_scale(scale_config(("a", "b"), Scale.of_rows(np.ones((2, 2)))), ("b", "a"))


@pytest.mark.parametrize(
    "values",
    [
        {"center": [1.0], "width": [1.0]},
        {"center": [1.0, math.nan], "width": [1.0, 1.0]},
        {"center": [1.0, 1.0], "width": [1.0, 0.0]},
        {"center": [1.0, 1.0]},
        {"center": [1.0, 1.0], "width": ["x", "y"]},
    ],
)
def test_a_malformed_scale_is_refused(values: dict[str, list[float] | list[str]]) -> None:
    record = ConfigRecord({"columns": ["a", "b"]})
    record.update(values)
    with pytest.raises(ExchangeError, match="Node 1 cannot take part: the scale of its sensors is malformed"):
        agree({1: RecordDict({"scale": record})})


def test_the_server_app_needs_no_framework() -> None:
    program = "import sys; import anomaly_detection.server_app; sys.exit(bool({'sklearn', 'torch'} & set(sys.modules)))"
    environment = {"PYTHONPATH": ":".join(sys.path), "FLWR_TELEMETRY_ENABLED": "0"}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0
