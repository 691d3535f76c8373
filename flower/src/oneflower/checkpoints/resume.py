"""From ``resume-from`` of the run configuration to the checkpoint that a run goes on from."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord
from numpy.typing import NDArray

from oneflower.checkpoints.errors import CheckpointDamagedError, CheckpointError, CheckpointRefusedError
from oneflower.checkpoints.identity import Identity, array_differences
from oneflower.checkpoints.manifest import Manifest, RoundRecord
from oneflower.checkpoints.state import StateKeeper, StrategyState
from oneflower.checkpoints.store import Checkpoint, CheckpointStore, described
from oneflower.log import logger
from oneflower.text import few_of

CHECKPOINTS_VARIABLE = "ONEFLOWER_CHECKPOINTS"
RESUME_KEY = "resume-from"
_PLACE = re.compile(r"(?P<run>\d{1,20})/(?P<file>round-\d{6,9}\.npz)\Z")


def checkpoints_folder(environment: Mapping[str, str] | None = None) -> Path | None:
    """The folder that the environment names for checkpoints, or None."""
    value = (os.environ if environment is None else environment).get(CHECKPOINTS_VARIABLE, "")
    return Path(value) if value else None


@dataclass(frozen=True)
class Resumed:
    """What a run goes on from. An app that has it need not ask its nodes again what the first run has asked.

    ``arrays`` are the model's by name, ``constants`` and ``details`` those that ``train`` was given.
    """

    store: CheckpointStore
    checkpoint: Checkpoint

    @property
    def manifest(self) -> Manifest:
        return self.checkpoint.manifest

    @property
    def round(self) -> int:
        """The last round that is in the arrays."""
        return self.manifest.round

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        return self.checkpoint.part("model")

    @property
    def constants(self) -> dict[str, NDArray[Any]]:
        return self.checkpoint.part("constant")

    @property
    def details(self) -> dict[str, Any]:
        return dict(self.manifest.details)

    @property
    def history(self) -> list[RoundRecord]:
        """Rounds up to the checkpoint's; what came after it is done again."""
        return [record for record in self.manifest.history if record.round <= self.round]

    def check(self, identity: Identity, initial: ArrayRecord, constants: Mapping[str, NDArray[Any]]) -> None:
        """Compare the app and the model that it begins with to those of the checkpoint.

        :raises CheckpointRefusedError: they are others.
        """
        ours = described({name: array.numpy() for name, array in initial.items()})
        differences = identity.differences(self.manifest)
        # The arrays of some strategies grow, or change their type, from the first round on.
        if list(ours.items()) != list(described(self.arrays).items()):
            differences += array_differences("array", self.manifest.initial, ours)
        theirs = self.constants
        differences += array_differences("constant", described(theirs), described(constants))
        if not differences:
            others = [
                name
                for name in constants
                if not np.array_equal(theirs[name], constants[name], equal_nan=theirs[name].dtype.kind in "fc")
            ]
            if others:
                differences.append(
                    f"the values of its constant {few_of(others)} are not those of this run: "
                    "take those of federation.resumed"
                )
        if differences:
            raise CheckpointRefusedError(self.place, differences)

    def warn_of_details(self, details: Mapping[str, object]) -> None:
        """Say which details of the app are not those of the checkpoint: they may be another model's."""
        theirs = self.manifest.details
        names = sorted(name for name in {*theirs, *details} if theirs.get(name) != details.get(name))
        if names:
            logger.warning("Details of the app are not those of checkpoint %s: %s", self.place, ", ".join(names))

    def restore(self, keeper: StateKeeper) -> ArrayRecord:
        """Put the state into the strategy. Returns the model.

        :raises CheckpointRefusedError: it is the state of another strategy.
        """
        model = ArrayRecord({name: Array(array) for name, array in self.arrays.items()})
        try:
            keeper.restore(StrategyState(self.manifest.state, self.checkpoint.arrays, []), model)
        except ValueError as error:
            raise CheckpointRefusedError(self.place, [f"its state of the strategy does not fit: {error}"]) from error
        if self.manifest.unknown_state:
            logger.warning(
                "Checkpoint %s does not hold %s: the strategy goes on with its arrays and a new state there",
                self.place,
                ", ".join(self.manifest.unknown_state),
            )
        return model

    @property
    def place(self) -> str:
        """As ``resume-from`` names it."""
        return f"{self.store.folder.name}/{self.manifest.file}"


def open_checkpoint(place: str, root: Path | None, identity: Identity) -> Resumed | None:
    """The checkpoint that ``resume-from`` names; None where it is empty.

    :raises CheckpointError: it names none, or there is no folder for checkpoints.
    :raises CheckpointDamagedError: it is not whole; the message names the newest of that run that is.
    :raises CheckpointRefusedError: it is of another app, framework or strategy.
    """
    if not place:
        return None
    match = _PLACE.match(place)
    if match is None:
        raise CheckpointError(f"{RESUME_KEY} is {place!r}: a checkpoint is named like 123/round-000006.npz")
    if root is None:
        raise CheckpointError(f"{RESUME_KEY} is {place}, but {CHECKPOINTS_VARIABLE} does not name a folder")
    store = CheckpointStore(root / match["run"])
    try:
        checkpoint = store.read(match["file"])
    except CheckpointDamagedError as damage:
        newest = store.newest_readable()
        rest = f"The newest whole one of that run is {newest.manifest.file}" if newest else "That run has no whole one"
        raise CheckpointDamagedError(place, damage.damage, f"{damage.reason}. {rest}") from damage
    differences = identity.differences(checkpoint.manifest)
    if differences:
        raise CheckpointRefusedError(place, differences)
    theirs = checkpoint.manifest.fab
    if theirs is not None and identity.fab is not None and theirs != identity.fab:
        logger.warning("Checkpoint %s was written by %s; this run goes on with %s", place, theirs, identity.fab)
    return Resumed(store, checkpoint)
