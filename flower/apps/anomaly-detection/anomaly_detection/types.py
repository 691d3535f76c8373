"""Words that all modules of the app share."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
# Named arrays of a network: float64 with scikit-learn, float32 with PyTorch.
Weights = dict[str, NDArray[Any]]


class NetworkSize(Protocol):
    """What the initial weights of a network depend on, besides the number of columns."""

    @property
    def hidden_units(self) -> int: ...
    @property
    def seed(self) -> int: ...
