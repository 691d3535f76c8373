"""The network: one hidden layer, trained by scikit-learn, exchanged and kept as named arrays."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.neural_network import MLPClassifier

from oneflower.settings import RunConfig

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Weights = dict[str, Floats]

ARRAY_NAMES = ("hidden.weight", "hidden.bias", "output.weight", "output.bias")
BATCH = 64
MOMENTUM = 0.9


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
            learning_rate=config.positive("learning-rate", 0.1, 10),
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


def train(weights: Weights, features: Floats, labels: Labels, plan: TrainingPlan, server_round: int) -> Weights:
    """Weights after ``plan.epochs`` passes over scaled rows. Rows of one label alone are fine."""
    network = MLPClassifier(
        hidden_layer_sizes=(plan.hidden_units,),
        activation="tanh",
        solver="sgd",
        momentum=MOMENTUM,
        learning_rate_init=plan.learning_rate,
        batch_size=1,
        random_state=(plan.seed + server_round) % 2**31,
    )
    _give_weights(network, weights)
    network.set_params(batch_size=min(BATCH, len(labels)))
    for _ in range(plan.epochs):
        network.partial_fit(features, labels)
    arrays = (network.coefs_[0], network.intercepts_[0], network.coefs_[1], network.intercepts_[1])
    return dict(zip(ARRAY_NAMES, (np.asarray(array) for array in arrays), strict=True))


def _give_weights(network: MLPClassifier, weights: Weights) -> None:
    """scikit-learn makes the layers at the first fit only: fit two rows of nothing, then put ours in their place."""
    columns = weights["hidden.weight"].shape[0]
    network.partial_fit(np.zeros((2, columns)), np.array([0, 1]), classes=np.array([0, 1]))
    # Made anew by the next fit: momentum begins at rest.
    del network._optimizer
    for mine, given in (
        (network.coefs_[0], weights["hidden.weight"]),
        (network.intercepts_[0], weights["hidden.bias"]),
        (network.coefs_[1], weights["output.weight"]),
        (network.intercepts_[1], weights["output.bias"]),
    ):
        mine[...] = given


def score(weights: Weights, features: Floats) -> Floats:
    """How anomalous each scaled row is, as log-odds."""
    hidden = np.tanh(features @ weights["hidden.weight"] + weights["hidden.bias"])
    scores: Floats = (hidden @ weights["output.weight"] + weights["output.bias"])[:, 0]
    return scores


def roc_auc(weights: Weights, features: Floats, labels: Labels) -> float:
    """ROC-AUC on scaled rows; NaN where rows of one label leave it undefined."""
    if len(np.unique(labels)) < 2:
        return float("nan")
    return float(roc_auc_score(labels, score(weights, features)))


def loss(weights: Weights, features: Floats, labels: Labels) -> float:
    """Mean logistic loss on scaled rows."""
    odds = score(weights, features)
    return float(log_loss(labels, 1 / (1 + np.exp(-np.clip(odds, -500, 500))), labels=[0, 1]))
