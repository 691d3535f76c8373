"""What is asked of image classification in every framework; the tests of each framework call these."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from image_classification.export import export
from image_classification.plan import Framework, Plan
from image_classification.variant import Step, Task, Variant, variant_of
from oneflower.bundled_images import read_digits
from oneflower.image_data import NodeImages, read_node_images

Arrays = dict[str, NDArray[np.float32]]

DIGITS = read_digits()
TASK = Task.of_images(DIGITS)
FIRST = Step(1, 0, 0.0)
FEW = DIGITS.take(np.arange(200))


class Checks:
    """Training in one framework, on the digits."""

    def __init__(self, framework: Framework) -> None:
        self.framework = framework
        self.variant: Variant = variant_of(framework)

    def plan(self, **run_config: str | float) -> Plan:
        named = {key.replace("_", "-"): value for key, value in run_config.items()}
        return Plan.of_run({"framework": self.framework, "dataset": "digits", "local-epochs": 3, **named})

    def start(self, seed: int = 1) -> Arrays:
        return self.variant.initial_arrays(TASK, seed)

    def trained(self, step: Step = FIRST, **run_config: str | float) -> Arrays:
        return self.variant.train(self.start(), FEW, self.plan(**run_config), step)[0]

    def shards(self, partitions: int) -> list[NodeImages]:
        request = self.plan().request
        return [
            read_node_images({"partition-id": place, "num-partitions": partitions}, request, {})
            for place in range(partitions)
        ]

    def federate(self, shards: list[NodeImages], rounds: int) -> Arrays:
        """What Flower's FedAvg does between the nodes, without Flower."""
        plan = self.plan()
        arrays = self.start()
        total = sum(len(shard.train) for shard in shards)
        for server_round in range(1, rounds + 1):
            trained = [
                self.variant.train(arrays, shard.train, plan, Step(server_round, shard.partition, 0.0))[0]
                for shard in shards
            ]
            shares = [np.float32(len(shard.train) / total) for shard in shards]
            arrays = {
                name: np.sum([share * each[name] for share, each in zip(shares, trained, strict=True)], axis=0)
                for name in arrays
            }
        return arrays


def distance(one: Arrays, other: Arrays) -> float:
    """Length of the difference of all weights."""
    return float(np.sqrt(sum(((one[name] - other[name]) ** 2).sum() for name in one)))


def nodes_learn_together(checks: Checks, rounds: int, accuracy: float) -> None:
    shards = checks.shards(3)
    arrays = checks.federate(shards, rounds)
    qualities = [checks.variant.evaluate(arrays, shard.held_out) for shard in shards]
    assert min(quality.accuracy for quality in qualities) > accuracy, qualities
    assert max(quality.loss for quality in qualities) < 0.5, qualities


def training_is_repeatable(checks: Checks) -> None:
    start = checks.start()
    before = {name: array.copy() for name, array in start.items()}
    plan = checks.plan()
    (one, loss), (other, again) = (checks.variant.train(start, FEW, plan, Step(1, 0, 0.1)) for _ in range(2))
    assert (distance(one, other), distance(start, before), loss) == (0, 0, again)
    assert distance(one, start) > 0
    assert list(one) == list(start)
    assert {array.dtype for array in one.values()} == {np.dtype(np.float32)}
    assert distance(checks.start(), start) == 0
    assert distance(checks.start(2), start) > 0


def everything_reaches_the_training(checks: Checks) -> None:
    plain = checks.trained()
    for changed in ({"client-lr": 0.01}, {"local-epochs": 1}, {"batch-size": 8}, {"seed": 2}):
        assert distance(checks.trained(**changed), plain) > 0, changed
    for step in (Step(2, 0, 0.0), Step(1, 1, 0.0), Step(1, None, 0.0)):
        assert distance(checks.trained(step), plain) > 0, step
    start = checks.start()
    moves = [distance(checks.trained(client_lr=rate), start) for rate in (0.0001, 0.001, 0.01)]
    assert moves == sorted(moves)
    assert distance(checks.trained(client_lr=0.0), plain) == 0


def a_pull_keeps_nodes_nearer(checks: Checks) -> None:
    start = checks.start()
    moves = [distance(checks.trained(Step(1, 0, mu)), start) for mu in (0.0, 0.5, 5.0)]
    assert moves == sorted(moves, reverse=True)
    assert moves[0] > 1.2 * moves[-1]


def exported(checks: Checks, form: str, target: Path, seed: int = 1) -> Path:
    details: dict[str, Any] = {"framework": checks.framework, "shape": [8, 8, 1], "classes": list(TASK.classes)}
    return export(checks.start(seed), details, form, target)


def answer_elsewhere(program: str, folder: Path) -> str:
    """What a program prints in a fresh process that knows nothing of this package."""
    (folder / "probe.py").write_text(
        "import importlib.util\n"
        "assert not any(importlib.util.find_spec(name) for name in ('oneflower', 'image_classification'))\n" + program
    )
    done = subprocess.run(
        [sys.executable, "probe.py"],
        cwd=folder,
        env={},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def own_file(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)
