"""The network: one hidden layer of tanh units, as named arrays. NumPy alone, as the ServerApp needs no more."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneflower.settings import RunConfig
from oneflower.steps import client_step

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Weights = dict[str, Floats]

ARRAY_NAMES = ("hidden.weight", "hidden.bias", "output.weight", "output.bias")

# Step of a client unless the run says otherwise.
LEARNING_RATE = 0.1


@dataclass(frozen=True)
class TrainingPlan:
    """How a node trains in one round."""

    epochs: int
    learning_rate: float
    hidden_units: int
    seed: int

    @classmethod
    def of_run(cls, run_config: Mapping[str, object]) -> "TrainingPlan":
        """The plan that a run's configuration asks for.

        :raises RunConfigError: a value has the wrong type or is out of range.
        """
        config = RunConfig(run_config)
        plan = cls(
            epochs=config.whole_number("local-epochs", 3, 1, 1000),
            learning_rate=client_step(config, run_config, LEARNING_RATE),
            hidden_units=config.whole_number("hidden-units", 16, 1, 4096),
            seed=config.whole_number("seed", 1, 0, 2**31 - 1),
        )
        config.check()
        return plan


def initial_weights(columns: int, plan: TrainingPlan) -> Weights:
    """The same start for everyone: weights averaged over nodes mean something only from a common start."""
    generator = np.random.default_rng(plan.seed)
    hidden = plan.hidden_units
    return {
        "hidden.weight": generator.normal(0, 1 / np.sqrt(columns), (columns, hidden)),
        "hidden.bias": np.zeros(hidden),
        "output.weight": generator.normal(0, 1 / np.sqrt(hidden), (hidden, 1)),
        "output.bias": np.zeros(1),
    }


def score(weights: Weights, features: Floats) -> Floats:
    """How anomalous each scaled row is, as log-odds."""
    hidden = np.tanh(features @ weights["hidden.weight"] + weights["hidden.bias"])
    scores: Floats = (hidden @ weights["output.weight"] + weights["output.bias"])[:, 0]
    return scores
