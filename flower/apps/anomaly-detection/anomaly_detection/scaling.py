"""Bringing sensors of any unit and any tail to one scale that all nodes agree on.

Before the first round each node states median and spread of its sensors; their mean, weighted by rows, is used by
all. Medians and percentiles of sensors are all that leaves a node.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Percentiles between which the spread is taken: outliers, which are what is looked for, must not set the scale.
SPREAD = (10.0, 90.0)
# Half of the spread is one unit.
UNITS = 2.0
# Whatever lies beyond is as far away as anything can be; keeps the sums of the network finite.
LIMIT = 1e9


@dataclass(frozen=True)
class Scale:
    """Centre and width of each sensor."""

    center: Floats
    width: Floats

    @classmethod
    def of_rows(cls, features: Floats) -> "Scale":
        """Median and spread of each sensor; a sensor without any spread keeps its own unit."""
        low, high = np.percentile(features, SPREAD, axis=0)
        return cls(np.median(features, axis=0), np.where(high > low, high - low, 1.0))

    @classmethod
    def mean(cls, scales: Sequence["Scale"], weights: Sequence[int]) -> "Scale":
        """The scale that nodes share."""
        return cls(
            np.average([scale.center for scale in scales], axis=0, weights=weights),
            np.average([scale.width for scale in scales], axis=0, weights=weights),
        )

    def apply(self, features: Floats) -> Floats:
        """Features in units of the scale; the inverse hyperbolic sine is linear near the centre and tames tails."""
        with np.errstate(over="ignore"):
            units = (features - self.center) / self.width * UNITS
        scaled: Floats = np.arcsinh(np.clip(units, -LIMIT, LIMIT))
        return scaled
