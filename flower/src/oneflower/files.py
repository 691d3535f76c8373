"""Files that are there whole or not at all, whenever the process or the machine ends."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO


def replace_file(file: Path, content: bytes, mode: int) -> None:
    """Write a file aside, flush it to the disk and give it its name.

    :raises OSError: the disk refuses; what was there before is untouched.
    """
    replace_by(file, lambda handle: handle.write(content), mode)


def replace_by(file: Path, write: Callable[[IO[bytes]], object], mode: int) -> None:
    """As ``replace_file``, with the content that ``write`` writes; what it raises is passed on."""
    descriptor, draft = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".new", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            write(handle)
            handle.flush()
            os.fsync(handle.fileno())
        Path(draft).chmod(mode)
        Path(draft).replace(file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
