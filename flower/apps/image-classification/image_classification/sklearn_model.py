"""The network in scikit-learn: one hidden layer of rectified units over the pixels, plain gradient descent."""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

from image_classification.plan import Plan
from image_classification.variant import Arrays, Quality, Step, Task, batches
from oneflower.images import Images

HIDDEN_UNITS = 64
ARRAY_NAMES = ("hidden.weight", "hidden.bias", "output.weight", "output.bias")

Floats = NDArray[np.float32]


def initial_arrays(task: Task, seed: int) -> dict[str, Floats]:
    """He's start for rectified units; scikit-learn has one output for two classes, else one each."""
    generator = np.random.default_rng(seed)
    pixels = int(np.prod(task.shape))
    outputs = 1 if len(task.classes) == 2 else len(task.classes)
    return {
        "hidden.weight": _normal(generator, (pixels, HIDDEN_UNITS)),
        "hidden.bias": np.zeros(HIDDEN_UNITS, np.float32),
        "output.weight": _normal(generator, (HIDDEN_UNITS, outputs)),
        "output.bias": np.zeros(outputs, np.float32),
    }


def train(arrays: Arrays, images: Images, plan: Plan, step: Step) -> tuple[dict[str, Floats], float]:
    """Arrays after ``plan.epochs`` passes over the images, and the mean loss of the last pass.

    Without momentum each batch is one step of gradient descent, so that FedProx's term, whose gradient is
    ``mu * (w - w_common)``, can be added to the step from outside.
    """
    rate = plan.learning_rate
    network = estimator(arrays, len(images.classes), rate)
    generator = np.random.default_rng(step.seed(plan))
    features = _features(images)
    loss = 0.0
    for _ in range(plan.epochs):
        loss = 0.0
        for batch in batches(generator.permutation(len(images)), plan.batch_size):
            before = [weights.copy() for weights in _weights(network)] if step.proximal_mu else []
            network.set_params(batch_size=len(batch))
            network.partial_fit(features[batch], images.labels[batch])
            loss += network.loss_ * len(batch) / len(images)
            for weights, old, common in zip(_weights(network), before, arrays.values(), strict=bool(before)):
                weights -= np.float32(rate * step.proximal_mu) * (old - common)
    return dict(zip(ARRAY_NAMES, _weights(network), strict=True)), loss


def evaluate(arrays: Arrays, images: Images) -> Quality:
    """Accuracy and cross entropy on the images."""
    odds = estimator(arrays, len(images.classes)).predict_proba(_features(images))
    right = odds.argmax(axis=1) == images.labels
    return Quality(float(right.mean()), float(log_loss(images.labels, odds, labels=range(len(images.classes)))))


def estimator(arrays: Arrays, classes: int, learning_rate: float = 0.1) -> MLPClassifier:
    """A fitted classifier with these weights, for pixels from 0 to 1; it goes on training by ``partial_fit``."""
    network = MLPClassifier(
        hidden_layer_sizes=(arrays["hidden.bias"].shape[0],),
        solver="sgd",
        momentum=0.0,
        alpha=0.0,
        learning_rate_init=learning_rate,
        batch_size=1,
        shuffle=False,
    )
    # scikit-learn makes the layers at the first fit only: fit a row of nothing, then put ours in their place.
    nothing = np.zeros((1, arrays["hidden.weight"].shape[0]), np.float32)
    network.partial_fit(nothing, np.array([0]), classes=np.arange(classes))
    for mine, name in zip(_weights(network), ARRAY_NAMES, strict=True):
        mine[...] = arrays[name]
    return network


def _weights(network: MLPClassifier) -> list[Floats]:
    return [network.coefs_[0], network.intercepts_[0], network.coefs_[1], network.intercepts_[1]]


def _normal(generator: np.random.Generator, size: tuple[int, int]) -> Floats:
    return generator.normal(0, np.sqrt(2 / size[0]), size).astype(np.float32)


def _features(images: Images) -> Floats:
    return images.pixels.reshape(len(images), -1).astype(np.float32) / np.float32(255)
