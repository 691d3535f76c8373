import subprocess
import sys

import numpy as np
import pytest
from flwr.app import ConfigRecord, RecordDict
from numpy.typing import NDArray

from image_classification import sklearn_model
from image_classification.exchange import ExchangeError, agree, read_arrays, read_config, start_answer, task_config
from image_classification.plan import Plan
from image_classification.variant import Step, Task, check_arrays, variant_of
from oneflower.bundled_images import read_digits
from oneflower.image_data import NodeImages, read_node_images
from oneflower.settings import RunConfigError

Arrays = dict[str, NDArray[np.float32]]

PLAN = Plan.of_run({})
DIGITS = read_digits()
TASK = Task.of_images(DIGITS)
FIRST = Step(1, 0, 0.0)


def shards_of(partitions: int, plan: Plan = PLAN) -> list[NodeImages]:
    return [
        read_node_images({"partition-id": place, "num-partitions": partitions}, plan.request, {})
        for place in range(partitions)
    ]


def federate(shards: list[NodeImages], rounds: int, plan: Plan = PLAN) -> Arrays:
    """What Flower's FedAvg does between the nodes, without Flower."""
    arrays = sklearn_model.initial_arrays(TASK, plan.seed)
    total = sum(len(shard.train) for shard in shards)
    for server_round in range(1, rounds + 1):
        trained = [
            sklearn_model.train(arrays, shard.train, plan, Step(server_round, shard.partition, 0.0))[0]
            for shard in shards
        ]
        arrays = {
            name: np.sum(
                [each[name] * (len(shard.train) / total) for each, shard in zip(trained, shards, strict=True)],
                axis=0,
                dtype=np.float32,
            )
            for name in arrays
        }
    return arrays


def trained(run_config: dict[str, str | int | float] | None = None, step: Step = FIRST) -> Arrays:
    plan = Plan.of_run(run_config or {})
    return sklearn_model.train(sklearn_model.initial_arrays(TASK, 1), DIGITS.take(np.arange(200)), plan, step)[0]


def distance(one: Arrays, other: Arrays) -> float:
    return float(np.sqrt(sum(((one[name] - other[name]) ** 2).sum() for name in one)))


def test_three_nodes_learn_the_digits_together() -> None:
    shards = shards_of(3)
    arrays = federate(shards, 5)
    qualities = [sklearn_model.evaluate(arrays, shard.held_out) for shard in shards]
    assert min(quality.accuracy for quality in qualities) > 0.92
    assert max(quality.loss for quality in qualities) < 0.35


def test_training_is_the_same_every_time_and_leaves_its_input_alone() -> None:
    start = sklearn_model.initial_arrays(TASK, 1)
    before = {name: array.copy() for name, array in start.items()}
    images = DIGITS.take(np.arange(100))
    one, other = (sklearn_model.train(start, images, PLAN, Step(1, 0, 0.1))[0] for _ in range(2))
    assert distance(one, other) == 0
    assert distance(start, before) == 0
    assert distance(one, start) > 0


@pytest.mark.parametrize(
    "changed",
    [{"client-lr": 0.05}, {"local-epochs": 1}, {"batch-size": 8}, {"seed": 2}],
)
def test_the_run_configuration_reaches_the_training(changed: dict[str, str | int | float]) -> None:
    assert distance(trained(changed), trained()) > 0


@pytest.mark.parametrize("step", [Step(2, 0, 0.0), Step(1, 1, 0.0), Step(1, None, 0.0), Step(1, 0, 1.0)])
def test_round_partition_and_pull_reach_the_training(step: Step) -> None:
    assert distance(trained(step=step), trained()) > 0


def test_a_smaller_step_moves_less() -> None:
    start = sklearn_model.initial_arrays(TASK, 1)
    moves = [distance(trained({"client-lr": rate}), start) for rate in (0.001, 0.01, 0.1)]
    assert moves == sorted(moves)
    assert distance(trained({"client-lr": 0.0}), trained()) == 0


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


def test_a_stronger_pull_keeps_nodes_nearer_to_the_common_model() -> None:
    start = sklearn_model.initial_arrays(TASK, 1)
    moves = [distance(trained(step=Step(1, 0, mu)), start) for mu in (0.0, 0.1, 1.0)]
    assert moves == sorted(moves, reverse=True)


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


def test_nodes_agree_and_start_from_the_arrays_of_the_lowest() -> None:
    starts = {node: sklearn_model.initial_arrays(TASK, node) for node in (7, 3)}
    task, start = agree({node: start_answer(TASK, arrays) for node, arrays in starts.items()})
    assert task == TASK
    arrays = read_arrays(RecordDict({"arrays": start}))
    assert distance(arrays, starts[3]) == 0


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


def test_the_server_app_needs_no_framework() -> None:
    program = (
        "import sys; import image_classification.server_app; "
        "sys.exit(any(name in sys.modules for name in ('sklearn', 'torch', 'tensorflow', 'PIL')))"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "FLWR_TELEMETRY_ENABLED": "0"}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0
