import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ConfigRecord, RecordDict

import image_checks
from image_checks import DIGITS, TASK, Arrays, distance
from image_classification import sklearn_model
from image_classification.exchange import ExchangeError, agree, read_arrays, read_config, start_answer, task_config
from image_classification.export import ExportError, export
from image_classification.plan import Plan
from image_classification.variant import Step, Task, check_arrays, variant_of
from oneflower.settings import RunConfigError

PLAN = Plan.of_run({})
CHECKS = image_checks.Checks("sklearn")


def test_three_nodes_learn_the_digits_together() -> None:
    image_checks.nodes_learn_together(CHECKS, rounds=5, accuracy=0.92)


def test_training_is_the_same_every_time_and_leaves_its_input_alone() -> None:
    image_checks.training_is_repeatable(CHECKS)


def test_the_run_configuration_reaches_the_training() -> None:
    image_checks.everything_reaches_the_training(CHECKS)


def test_a_stronger_pull_keeps_nodes_nearer_to_the_common_model() -> None:
    image_checks.a_pull_keeps_nodes_nearer(CHECKS)


def test_the_pull_of_fedprox_is_the_gradient_of_its_term() -> None:
    """By hand: the first step is unpulled, as nothing has moved; the second loses rate * mu of the first move."""
    rate, mu = 0.1, 2.0
    images = DIGITS.take(np.arange(2))
    start = sklearn_model.initial_arrays(TASK, 1)

    def after(epochs: int, mu: float) -> Arrays:
        plan = Plan.of_run({"client-lr": rate, "local-epochs": epochs, "batch-size": 2})
        return sklearn_model.train(start, images, plan, Step(1, 0, mu))[0]

    first, plain, pulled = after(1, 0.0), after(2, 0.0), after(2, mu)
    assert distance(after(1, mu), first) == 0
    for name in start:
        np.testing.assert_allclose(pulled[name], plain[name] - rate * mu * (first[name] - start[name]), atol=1e-6)


def test_two_classes_are_told_apart() -> None:
    few = DIGITS.take(np.flatnonzero(DIGITS.labels < 2))
    images = type(few)(("zero", "one"), few.pixels, few.labels)
    start = sklearn_model.initial_arrays(Task.of_images(images), 1)
    assert start["output.weight"].shape == (64, 1)
    arrays, _ = sklearn_model.train(start, images, PLAN, Step(1, 0, 0.0))
    assert sklearn_model.evaluate(arrays, images).accuracy > 0.98


@pytest.mark.parametrize("count", [1, 2, 33])
def test_any_number_of_images_can_be_trained_on(count: int) -> None:
    images = DIGITS.take(np.arange(count))
    arrays, loss = sklearn_model.train(sklearn_model.initial_arrays(TASK, 1), images, PLAN, Step(1, 0, 0.0))
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert np.isfinite(loss)


def test_bad_values_of_the_plan_are_named_together() -> None:
    with pytest.raises(RunConfigError, match=r"framework is 'jax'.*partitioning is 3.*alpha is 0.*dataset is 'cifar'"):
        Plan.of_run({"framework": "jax", "partitioning": 3, "alpha": 0, "dataset": "cifar"})


def test_nodes_agree_and_start_from_the_arrays_of_most() -> None:
    shared, own = (sklearn_model.initial_arrays(TASK, seed) for seed in (1, 2))
    task, start = agree({node: start_answer(TASK, own if node == 3 else shared) for node in (7, 5, 3)})
    assert task == TASK
    assert distance(read_arrays(RecordDict({"arrays": start})), shared) == 0


def test_other_images_are_refused_by_server_and_node() -> None:
    other = Task((28, 28, 3), ("cat", "dog"))
    answers = {
        5: start_answer(other, sklearn_model.initial_arrays(other, 1)),
        4: start_answer(TASK, sklearn_model.initial_arrays(TASK, 1)),
    }
    words = (
        "Node 5 holds coloured images of 28 by 28 pixels in the classes cat, dog; node 4 holds grey images of 8 by 8"
    )
    with pytest.raises(ExchangeError, match=words):
        agree(answers)
    config = task_config(other)
    config["server-round"] = 1
    with pytest.raises(ExchangeError, match=r"about coloured images of 28.*this node holds grey images of 8 by 8"):
        read_config(RecordDict({"config": config}), TASK)
    with pytest.raises(ValueError, match="this node's network has"):
        check_arrays(sklearn_model.initial_arrays(other, 1), sklearn_model.initial_arrays(TASK, 1))


@pytest.mark.parametrize(
    "answer",
    [RecordDict(), RecordDict({"task": ConfigRecord({"shape": [1, 2], "classes": ["a"]})})],
)
def test_a_malformed_answer_names_its_node(answer: RecordDict) -> None:
    with pytest.raises(ExchangeError, match="Node 9 did not state"):
        agree({9: answer})


def test_a_message_without_round_or_arrays_is_refused() -> None:
    with pytest.raises(ExchangeError, match="which round"):
        read_config(RecordDict({"config": task_config(TASK)}), TASK)
    with pytest.raises(ExchangeError, match="no arrays"):
        read_arrays(RecordDict())


def test_a_framework_is_found_by_its_name() -> None:
    assert variant_of("sklearn") is sklearn_model


def test_an_exported_estimator_predicts_without_this_package(tmp_path: Path) -> None:
    arrays = CHECKS.trained()
    details = {"framework": "sklearn", "shape": [8, 8, 1], "classes": list(TASK.classes)}
    assert export(arrays, details, "joblib", tmp_path / "model.joblib") == tmp_path / "model.joblib"
    printed = image_checks.answer_elsewhere(
        "import json, joblib\n"
        "from sklearn.datasets import load_digits\n"
        "model = joblib.load('model.joblib')\n"
        "pixels = (load_digits().data[:200] * 255 // 16) / 255\n"
        "print(json.dumps([model.class_names_, model.predict(pixels).tolist()]))\n",
        tmp_path,
    )
    names, labels = json.loads(printed)
    assert names == list(TASK.classes)
    quality = sklearn_model.evaluate(arrays, image_checks.FEW)
    assert np.mean(np.array(labels) == image_checks.FEW.labels) == pytest.approx(quality.accuracy)
    assert quality.accuracy > 0.5


@pytest.mark.parametrize(
    ("details", "form", "words"),
    [
        ({}, "joblib", "do not say"),
        ({"framework": "sklearn", "shape": [8, 8], "classes": ["a", "b"]}, "joblib", "images of"),
        ({"framework": "sklearn", "shape": [8, 8, 1], "classes": ["a"]}, "pt", "can be had as joblib, not as pt"),
        ({"framework": "pytorch", "shape": [8, 8, 1], "classes": ["a"]}, "x", "can be had as pt, not as x"),
    ],
)
def test_a_form_that_the_model_cannot_have_is_refused(
    tmp_path: Path, details: dict[str, object], form: str, words: str
) -> None:
    with pytest.raises(ExportError, match=words):
        export(CHECKS.start(), details, form, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_the_server_app_needs_no_framework() -> None:
    program = (
        "import sys; import image_classification.server_app; "
        "sys.exit(any(name in sys.modules for name in ('sklearn', 'torch', 'tensorflow', 'PIL')))"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "FLWR_TELEMETRY_ENABLED": "0"}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0
