"""What each framework's module offers. Frameworks are imported by their own module alone, and only on nodes."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from image_classification.plan import Framework, Plan
from oneflower.images import Images

Arrays = Mapping[str, NDArray[np.float32]]

# Packages that decide what a round computes; TensorFlow comes by either name.
PACKAGES: dict[Framework, tuple[str, ...]] = {
    "sklearn": ("scikit-learn",),
    "pytorch": ("torch",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "keras"),
}


@dataclass(frozen=True)
class Task:
    """What a network is made for: images of one shape (height, width, channels), and the classes to tell apart."""

    shape: tuple[int, int, int]
    classes: tuple[str, ...]

    @classmethod
    def of_images(cls, images: Images) -> "Task":
        """The task that a node's images pose."""
        return cls(images.shape, images.classes)


@dataclass(frozen=True)
class Step:
    """One node's training in one round: where its chance begins, and FedProx's pull to the common model (0 none)."""

    server_round: int
    partition: int | None
    proximal_mu: float

    def seed(self, plan: Plan) -> int:
        """A seed of its own for each run seed, round and partition, below 2**31."""
        place = 0 if self.partition is None else self.partition + 1
        return int(np.random.SeedSequence([plan.seed, self.server_round, place]).generate_state(1)[0]) >> 1


@dataclass(frozen=True)
class Quality:
    """How well images are told apart: share of right answers, and mean cross entropy."""

    accuracy: float
    loss: float


class Variant(Protocol):
    """A network in one framework, its weights as named arrays."""

    def initial_arrays(self, task: Task, seed: int) -> dict[str, NDArray[np.float32]]:
        """The start of a federation: the same for the same seed."""

    def train(
        self, arrays: Arrays, images: Images, plan: Plan, step: Step
    ) -> tuple[dict[str, NDArray[np.float32]], float]:
        """Arrays after ``plan.epochs`` passes over the images, and the mean loss of the last pass."""

    def evaluate(self, arrays: Arrays, images: Images) -> Quality:
        """How well the arrays' network does on the images."""


def variant_of(framework: Framework) -> Variant:
    """The module of a framework; imports the framework.

    :raises ImportError: the node's environment lacks it.
    """
    return cast(Variant, import_module(f"image_classification.{framework}_model"))


def check_arrays(arrays: Mapping[str, NDArray[Any]], expected: Arrays) -> dict[str, NDArray[np.float32]]:
    """Arrays in the order and type of the expected ones.

    :raises ValueError: other names or shapes.
    """
    theirs = {name: array.shape for name, array in arrays.items()}
    mine = {name: array.shape for name, array in expected.items()}
    if theirs != mine:
        raise ValueError(f"The message holds the arrays {theirs}; this node's network has {mine}")
    return {name: np.array(arrays[name], dtype=np.float32) for name in expected}


def batches(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Places in their order, cut into batches; the last may be smaller."""
    return [order[start : start + size] for start in range(0, len(order), size)]
