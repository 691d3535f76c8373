"""Training and measuring the network on a node's rows, with scikit-learn."""

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.neural_network import MLPClassifier

# Private, but all there is: nothing public sees the steps of one batch. The lock pins the release.
from sklearn.neural_network._stochastic_optimizers import SGDOptimizer

from anomaly_detection.model import ARRAY_NAMES, LEARNING_RATE, score
from anomaly_detection.plan import TrainingPlan
from anomaly_detection.types import Floats, Labels, Weights

BATCH = 64
MOMENTUM = 0.9


class _DrawnBack(SGDOptimizer):  # type: ignore[misc]
    """SGD on the loss plus FedProx's term: its gradient mu * (w - w_common) joins that of each batch."""

    def __init__(self, network: MLPClassifier, mu: float) -> None:
        params = [*network.coefs_, *network.intercepts_]
        super().__init__(params, network.learning_rate_init, "constant", MOMENTUM)
        self._common = [param.copy() for param in params]
        self._mu = mu

    def update_params(self, params: list[Floats], grads: list[Floats]) -> None:
        pull = [self._mu * (param - common) for param, common in zip(params, self._common, strict=True)]
        super().update_params(params, [grad + force for grad, force in zip(grads, pull, strict=True)])


def train(
    weights: Weights, features: Floats, labels: Labels, plan: TrainingPlan, server_round: int, mu: float = 0.0
) -> Weights:
    """Weights after ``plan.epochs`` passes over scaled rows. Rows of one label alone are fine.

    :param mu: weight of FedProx's term; 0 trains as if it did not exist.
    """
    network = classifier(weights, plan.learning_rate, (plan.seed + server_round) % 2**31)
    network.set_params(batch_size=min(BATCH, len(labels)))
    if mu > 0:
        network._optimizer = _DrawnBack(network, mu)
    for _ in range(plan.epochs):
        network.partial_fit(features, labels)
    arrays = (network.coefs_[0], network.intercepts_[0], network.coefs_[1], network.intercepts_[1])
    return dict(zip(ARRAY_NAMES, (np.asarray(array) for array in arrays), strict=True))


def classifier(weights: Weights, learning_rate: float = LEARNING_RATE, seed: int = 0) -> MLPClassifier:
    """scikit-learn's network with these weights, for scaled rows.

    It makes its layers at the first fit only: fit two rows of nothing, then put ours in their place.
    """
    columns, hidden_units = weights["hidden.weight"].shape
    network = MLPClassifier(
        hidden_layer_sizes=(hidden_units,),
        activation="tanh",
        solver="sgd",
        momentum=MOMENTUM,
        learning_rate_init=learning_rate,
        batch_size=1,
        random_state=seed,
    )
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
    return network


def trained_on(labels: Labels) -> int:
    """All rows."""
    return len(labels)


def roc_auc(weights: Weights, features: Floats, labels: Labels) -> float:
    """ROC-AUC on scaled rows; NaN where rows of one label leave it undefined."""
    if len(np.unique(labels)) < 2:
        return float("nan")
    return float(roc_auc_score(labels, score(weights, features)))


def loss(weights: Weights, features: Floats, labels: Labels) -> float:
    """Mean logistic loss on scaled rows."""
    odds = score(weights, features)
    return float(log_loss(labels, 1 / (1 + np.exp(-np.clip(odds, -500, 500))), labels=[0, 1]))
