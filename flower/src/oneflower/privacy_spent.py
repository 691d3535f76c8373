"""What a run has spent of its nodes' privacy, in a file beside its checkpoints.

A run that goes on from a checkpoint does the rounds after it again, but the models of those rounds had gone to the
nodes already: what they have spent counts as well. So each run adds what it spends to the file of the run that it
goes on from.
"""

import json
import math
from pathlib import Path

from oneflower.files import replace_file
from oneflower.log import logger

# Manifests are the files that end in .json.
FILE_NAME = "privacy-spent"
_MODE = 0o640


class PrivacySpent:
    """``rate`` is the Renyi divergence of all that was let out, divided by its order; it adds up over releases.

    :param own: folder of the run's checkpoints; None where it keeps none.
    :param before: that of the run that it goes on from, if there is one. Without a file in it some rounds were
        without noise, and nothing bounds what they have let out.
    """

    def __init__(self, own: Path | None = None, before: Path | None = None) -> None:
        self.rate = 0.0
        self._own = own
        self._before = before
        if before is None:
            return
        self.rate = _read(before)
        if math.isinf(self.rate):
            logger.warning("Rounds before this run's were without noise: no privacy budget can be told")
        elif own is not None:
            _write(own, self.rate)

    def add(self, rate: float) -> None:
        """Count a release, before anyone has it."""
        self.rate += rate
        if self._before is not None:
            _write(self._before, _read(self._before) + rate)
        if self._own is not None:
            _write(self._own, self.rate)


def _read(folder: Path) -> float:
    try:
        rate = json.loads((folder / FILE_NAME).read_text(encoding="ascii"))["rate"]
        return float(rate) if rate >= 0 else math.inf
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return math.inf


def _write(folder: Path, rate: float) -> None:
    if math.isinf(rate):
        return
    try:
        folder.mkdir(mode=0o750, exist_ok=True)
        replace_file(folder / FILE_NAME, f"{json.dumps({'rate': rate})}\n".encode(), _MODE)
    except OSError as error:
        logger.warning("Runs that go on from this one will tell too small a privacy budget: %s", error)
