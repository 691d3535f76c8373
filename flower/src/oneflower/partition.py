"""Splitting bundled rows among the nodes of a federation: evenly, or by label as Dirichlet draws say.

The draws come from NumPy's legacy generator, whose stream is frozen for good: nodes with other releases of NumPy
agree on who has which row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from oneflower.rows import DataRefusedError, Problem

Partitioning = Literal["iid", "dirichlet"]
Labels = NDArray[np.int64]

# Fewer cannot be parted into rows to train on and rows held out.
MIN_ROWS = 8


@dataclass(frozen=True)
class Partition:
    """One of ``of`` parts, counted from 0."""

    place: int
    of: int

    @classmethod
    def of_node(cls, node_config: Mapping[str, object], otherwise: str) -> "Partition":
        """The part that a node's configuration names (``partition-id``, ``num-partitions``).

        :param otherwise: what a node without a part may do instead, for the error.
        :raises DataRefusedError: it names none, or one that cannot be.
        """
        place, of = (_whole_number(node_config, key, otherwise) for key in ("partition-id", "num-partitions"))
        if of < 1 or not 0 <= place < of:
            error = f"partition-id {place} of num-partitions {of}: 0 to num-partitions - 1 is wanted"
            raise DataRefusedError("The node has no such partition", [Problem("node config", None, error)])
        return cls(place, of)


@dataclass(frozen=True)
class Split:
    """How rows are split. ``alpha`` (above 0) is Dirichlet's: the smaller, the more the nodes' labels differ."""

    partitioning: Partitioning
    alpha: float
    seed: int

    def rows_of(self, partition: Partition, labels: Labels, least: int = MIN_ROWS) -> Labels:
        """The places of a partition's rows, in rising order; every partition has at least ``least``.

        With the same split and number of partitions, labels of another file are shared out in like proportions.

        :raises DataRefusedError: there are too few rows for that many partitions.
        """
        if partition.of * least > len(labels):
            error = f"num-partitions is {partition.of}: {len(labels)} rows are enough for {len(labels) // least}"
            raise DataRefusedError("The bundled rows are too few", [Problem("node config", None, error)])
        return np.flatnonzero(self._owners(labels, partition.of, least) == partition.place)

    def _owners(self, labels: Labels, parts: int, least: int) -> Labels:
        generator = np.random.RandomState(self.seed)
        if self.partitioning == "iid":
            return generator.permutation(len(labels)) % parts
        kinds = np.unique(labels)
        # All shares before any order, so that they do not depend on how many rows there are.
        shares = [_dirichlet(generator, self.alpha, parts) for _ in kinds]
        owners = np.empty(len(labels), dtype=np.int64)
        for kind, share in zip(kinds, shares, strict=True):
            places = generator.permutation(np.flatnonzero(labels == kind))
            cuts = np.floor(np.cumsum(share)[:-1] * len(places) + 0.5).astype(np.int64)
            for part, chunk in enumerate(np.split(places, cuts)):
                owners[chunk] = part
        _fill_up(owners, parts, least)
        return owners


def _dirichlet(generator: np.random.RandomState, alpha: float, parts: int) -> NDArray[np.float64]:
    share = generator.dirichlet(np.full(parts, alpha))
    if np.isfinite(share).all():
        return share
    # A tiny alpha underflows: its limit gives all to one.
    alone = np.zeros(parts)
    alone[generator.randint(parts)] = 1
    return alone


def _fill_up(owners: Labels, parts: int, least: int) -> None:
    """Give parts that have too few rows some of the largest part's."""
    counts = np.bincount(owners, minlength=parts)
    for part in np.flatnonzero(counts < least):
        while counts[part] < least:
            largest = int(np.argmax(counts))
            owners[np.flatnonzero(owners == largest)[-1]] = part
            counts[largest] -= 1
            counts[part] += 1


def _whole_number(node_config: Mapping[str, object], key: str, otherwise: str) -> int:
    value = node_config.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    error = "is not given" if value is None else f"is {value!r}, not a whole number"
    problem = Problem("node config", None, f"{key} {error}: {otherwise} or give a partition")
    raise DataRefusedError("The node has neither data of its own nor a partition", [problem])
