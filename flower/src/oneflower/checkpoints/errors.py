"""What can be wrong with a checkpoint."""

from typing import Literal

Damage = Literal["manifest missing", "manifest unreadable", "newer format", "file missing", "size", "hash", "content"]


class CheckpointError(Exception):
    """A checkpoint cannot be written or used."""


class CheckpointDamagedError(CheckpointError):
    """A checkpoint is not whole, or is of a format that this release does not know; ``damage`` says in which way."""

    def __init__(self, checkpoint: str, damage: Damage, reason: str) -> None:
        super().__init__(f"Checkpoint {checkpoint} cannot be used ({damage}): {reason}")
        self.damage: Damage = damage
        self.reason = reason


class CheckpointRefusedError(CheckpointError):
    """A checkpoint is sound but does not belong to this run; every difference is named."""

    def __init__(self, checkpoint: str, differences: list[str]) -> None:
        super().__init__(
            f"Checkpoint {checkpoint} does not belong to this run: {'; '.join(differences)}. "
            "Submit the run without --from (resume-from in its run configuration), "
            "or with the app, strategy and model of the checkpoint"
        )
        self.differences = differences
