"""What a study hands to the page that shows it: tables of one number by series and point."""

import json
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Series:
    """One line of a plot: a value for each point."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Table:
    """Values of several series over the same points."""

    title: str
    axis: str
    points: tuple[str, ...]
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Document:
    """A whole study; ``settings`` are sentences that say how it was made."""

    study: str
    settings: tuple[str, ...]
    tables: tuple[Table, ...]


class Progress:
    """Says on standard error how many cells are done; Flower's own log is left out."""

    def __init__(self, study: str, cells: int) -> None:
        logging.getLogger("flwr").setLevel(logging.CRITICAL)
        self._study = study
        self._cells = cells
        self._done = 0

    def cell(self, what: str, measure: Callable[[], float]) -> float:
        """Measure a cell, rounded to three places, and say so."""
        value = round(measure(), 3)
        self._done += 1
        print(f"{self._study} {self._done} of {self._cells}: {what}: {value:.3f}", file=sys.stderr, flush=True)
        return value


def print_document(study: str, settings: Sequence[str], tables: Sequence[Table]) -> None:
    """Print a study as one JSON document."""
    print(json.dumps(asdict(Document(study, tuple(settings), tuple(tables)))))
