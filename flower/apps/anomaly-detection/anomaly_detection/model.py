"""The network of the scikit-learn variant: one hidden layer of tanh units, as named arrays.

NumPy alone, as the ServerApp needs no more.
"""

import numpy as np

from anomaly_detection.types import Floats, NetworkSize, Weights

ARRAY_NAMES = ("hidden.weight", "hidden.bias", "output.weight", "output.bias")
# Step of a client unless the run says otherwise.
LEARNING_RATE = 0.1


def initial_weights(columns: int, size: NetworkSize) -> Weights:
    """The same start for everyone: weights averaged over nodes mean something only from a common start."""
    generator = np.random.default_rng(size.seed)
    hidden = size.hidden_units
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
