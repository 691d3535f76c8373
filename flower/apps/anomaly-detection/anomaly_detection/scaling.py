"""Bringing sensors of any unit and any tail to one scale that all nodes agree on.

Before the first round each node states median and spread of its sensors; the median of each over the nodes is used by
all, so that no few nodes set it. Medians and percentiles of sensors are all that leaves a node.
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
    def shared(cls, scales: Sequence["Scale"]) -> "Scale":
        """The scale that nodes share."""
        centers, widths = [scale.center for scale in scales], [scale.width for scale in scales]
        return cls(np.median(centers, axis=0), np.median(widths, axis=0))

    def apply(self, features: Floats) -> Floats:
        """Features in units of the scale; the inverse hyperbolic sine is linear near the centre and tames tails."""
        with np.errstate(over="ignore"):
            units = (features - self.center) / self.width * UNITS
        scaled: Floats = np.arcsinh(np.clip(units, -LIMIT, LIMIT))
        return scaled
