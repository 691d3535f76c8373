"""The network of the PyTorch variant: an autoencoder, as named arrays. NumPy alone, as the ServerApp needs no more.

It learns to rebuild normal rows from fewer numbers than they have; the worse it rebuilds a row, the more anomalous
the row is. Layers: columns, hidden units, code, hidden units, columns, with tanh between them.
"""

import numpy as np

from anomaly_detection.types import NetworkSize, Weights

LAYERS = ("encoder", "code", "decoder", "output")
# As PyTorch names them: weight is (outputs, inputs).
ARRAY_NAMES = tuple(f"{layer}.{part}" for layer in LAYERS for part in ("weight", "bias"))
# Step of a client (Adam) unless the run says otherwise.
LEARNING_RATE = 0.01
# A code of a third of the columns cannot copy rows that have no structure.
COLUMNS_PER_CODE_UNIT = 3


def initial_weights(columns: int, size: NetworkSize) -> Weights:
    """The same start for everyone."""
    generator = np.random.default_rng(size.seed)
    code = max(1, columns // COLUMNS_PER_CODE_UNIT)
    widths = (columns, size.hidden_units, code, size.hidden_units, columns)
    weights: Weights = {}
    for layer, inputs, outputs in zip(LAYERS, widths[:-1], widths[1:], strict=True):
        spread = 1 / np.sqrt(inputs)
        weights[f"{layer}.weight"] = generator.normal(0, spread, (outputs, inputs)).astype(np.float32)
        weights[f"{layer}.bias"] = np.zeros(outputs, dtype=np.float32)
    return weights
