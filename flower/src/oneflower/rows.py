"""Rows of numbers with a label, and how they are kept apart for training and evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# One row in four of each label is never trained on.
HELD_OUT_EVERY = 4


class DataRefusedError(Exception):
    """Data cannot be used; ``problems`` says where and why, the first ones of them."""

    def __init__(self, summary: str, problems: Sequence["Problem"]) -> None:
        super().__init__("; ".join([summary, *(str(problem) for problem in problems)]))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with data. ``line`` counts from 1, the header included."""

    file: str
    line: int | None
    error: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}, line {self.line}"
        return f"{where}: {self.error}"


@dataclass(frozen=True)
class Rows:
    """Rows of one kind: features (rows by columns) and labels (0 normal, 1 anomaly)."""

    columns: tuple[str, ...]
    features: NDArray[np.float64]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64]) -> "Rows":
        """The rows at the given places, in that order."""
        return Rows(self.columns, self.features[index], self.labels[index])


def hold_out(rows: Rows) -> tuple[Rows, Rows]:
    """Rows to train on and rows to evaluate on: every fourth row of each label is held out, in the order given.

    No chance is involved, so that all messages of a run, each in a process of its own, see the same two parts.
    """
    held_out = np.zeros(len(rows), dtype=bool)
    for label in (0, 1):
        places = np.flatnonzero(rows.labels == label)
        held_out[places[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]] = True
    return rows.take(np.flatnonzero(~held_out)), rows.take(np.flatnonzero(held_out))


def join_rows(parts: Sequence[Rows]) -> Rows:
    """All rows of parts that share their columns."""
    features = np.concatenate([part.features for part in parts])
    return Rows(parts[0].columns, features, np.concatenate([part.labels for part in parts]))
