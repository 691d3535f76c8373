"""Checkpoints of one run in a folder: ``round-000006.npz`` with the arrays and ``round-000006.json`` about them.

Both are written aside, flushed to the disk and renamed, the manifest last, so that a checkpoint with a manifest is
whole whenever the process or the machine ends. Nothing in them is a Python object (no pickle). A checkpoint is read
only when size and SHA-256 of its file are those of the manifest.
"""

import hashlib
import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneflower.checkpoints.errors import CheckpointDamagedError, CheckpointError, Damage
from oneflower.checkpoints.manifest import Manifest, NewerFormatError, parse_manifest
from oneflower.files import replace_file, sync_folder
from oneflower.model_file import Arrays, ModelFileError, read_model, write_model

_MANIFEST_NAME = re.compile(r"round-(\d{6,9})\.json\Z")
FILE_NAME = re.compile(r"round-(\d{6,9})\.npz\Z")
_MODE = 0o640


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and found whole. ``arrays`` are by their full names, such as ``model/weight``."""

    manifest: Manifest
    arrays: dict[str, NDArray[Any]]

    def part(self, prefix: str) -> dict[str, NDArray[Any]]:
        """The arrays under ``prefix/``, in their order, without the prefix."""
        start = f"{prefix}/"
        return {name.removeprefix(start): array for name, array in self.arrays.items() if name.startswith(start)}


def file_name(server_round: int) -> str:
    """The file that a round's arrays are kept in."""
    return f"round-{server_round:06d}.npz"


class CheckpointStore:
    """The checkpoints in one run's folder, which is made when the first is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, arrays: Arrays, manifest: Manifest) -> Manifest:
        """Write a checkpoint. Returns the manifest as it was written, with what is known of the file.

        :raises CheckpointError: it could not be written whole; nothing that was there before is harmed.
        """
        file = self.folder / file_name(manifest.round)
        try:
            self._make_folder()
            write_model(arrays, file)
            complete = replace(
                manifest,
                file=file.name,
                sha256=sha256_of(file),
                bytes=file.stat().st_size,
                arrays=described(arrays),
            )
            self.save_manifest(complete)
        except (OSError, ModelFileError) as error:
            raise CheckpointError(f"The checkpoint of round {manifest.round} could not be written: {error}") from error
        return complete

    def save_manifest(self, manifest: Manifest) -> None:
        """Write only the manifest, of a file that is there.

        :raises OSError: the disk refuses.
        """
        replace_file(self._manifest_file(manifest.file), manifest.to_json().encode(), _MODE)

    def read(self, name: str) -> Checkpoint:
        """The checkpoint in the file ``name``.

        :raises CheckpointDamagedError: it is not whole.
        """
        manifest = self.read_manifest(name)
        file = self.folder / name
        self._check_file(file, manifest)
        try:
            arrays = read_model(file)
        except ModelFileError as error:
            raise self._damaged(name, "content", str(error)) from error
        found = described(arrays)
        if found != manifest.arrays or list(found) != list(manifest.arrays):
            raise self._damaged(name, "content", "it holds other arrays than its manifest names")
        return Checkpoint(manifest, arrays)

    def read_manifest(self, name: str) -> Manifest:
        """What is known of the checkpoint in the file ``name``, whose arrays are not looked at.

        :raises CheckpointDamagedError: there is no manifest that can be read.
        """
        path = self._manifest_file(name)
        try:
            manifest = parse_manifest(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            reason = f"there is no {path.name} beside it" if (self.folder / name).exists() else f"no {path} is there"
            raise self._damaged(name, "manifest missing", reason) from error
        except NewerFormatError as error:
            raise self._damaged(name, "newer format", str(error)) from error
        except (OSError, ValueError, OverflowError, RecursionError) as error:
            raise self._damaged(name, "manifest unreadable", str(error)) from error
        if manifest.file != name or file_name(manifest.round) != name:
            raise self._damaged(name, "manifest unreadable", f"it is about {manifest.file} of round {manifest.round}")
        return manifest

    def manifests(self) -> list[Manifest]:
        """Manifests of all checkpoints with a readable one and a file, the oldest round first."""
        found: list[Manifest] = []
        for name in self._names():
            try:
                manifest = self.read_manifest(name)
            except CheckpointDamagedError:
                continue
            if (self.folder / name).is_file():
                found.append(manifest)
        return found

    def newest_readable(self) -> Checkpoint | None:
        """The checkpoint of the latest round that is whole."""
        for name in reversed(self._names()):
            try:
                return self.read(name)
            except CheckpointDamagedError:
                continue
        return None

    def remove(self, name: str) -> None:
        """Remove a checkpoint, its manifest first: a file alone is no checkpoint.

        :raises OSError: the disk refuses.
        """
        self._manifest_file(name).unlink(missing_ok=True)
        (self.folder / name).unlink(missing_ok=True)

    def adopt(self, other: "CheckpointStore", manifest: Manifest) -> None:
        """Take a checkpoint of another run's folder over, by a hard link where the disk can, else as a copy.

        :raises OSError: the disk refuses.
        """
        source, target = other.folder / manifest.file, self.folder / manifest.file
        self._make_folder()
        # Runs in one process have all the same number, and one folder.
        if source != target:
            target.unlink(missing_ok=True)
            try:
                os.link(source, target)
            except OSError:
                _copy(source, target)
            sync_folder(self.folder)
        self.save_manifest(manifest)

    def _make_folder(self) -> None:
        if self.folder.is_dir():
            return
        self.folder.mkdir(mode=0o750)
        sync_folder(self.folder.parent)

    def _names(self) -> list[str]:
        try:
            rounds = [int(match[1]) for entry in self.folder.iterdir() if (match := _MANIFEST_NAME.match(entry.name))]
        except OSError:
            return []
        return [file_name(number) for number in sorted(rounds)]

    def _manifest_file(self, name: str) -> Path:
        return self.folder / f"{name.removesuffix('.npz')}.json"

    def _check_file(self, file: Path, manifest: Manifest) -> None:
        try:
            size = file.stat().st_size
            if size != manifest.bytes:
                raise self._damaged(file.name, "size", f"it has {size} bytes, {manifest.bytes} were written")
            if sha256_of(file) != manifest.sha256:
                raise self._damaged(file.name, "hash", "its bytes are not those that were written")
        except OSError as error:
            raise self._damaged(file.name, "file missing", str(error)) from error

    def _damaged(self, name: str, damage: Damage, reason: str) -> CheckpointDamagedError:
        return CheckpointDamagedError(f"{self.folder.name}/{name}", damage, reason)


def described(arrays: Arrays) -> dict[str, dict[str, Any]]:
    """Shape and type of each array, in their order."""
    return {
        name: {"shape": list(np.shape(array)), "dtype": np.asarray(array).dtype.name} for name, array in arrays.items()
    }


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _copy(source: Path, target: Path) -> None:
    draft = target.with_name(f".{target.name}.new")
    try:
        shutil.copyfile(source, draft)
        draft.chmod(_MODE)
        with draft.open("rb") as handle:
            os.fsync(handle.fileno())
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
