"""Flower's own programs, as they are."""

import contextlib
import os
import sys
import zlib
from pathlib import Path
from typing import NoReturn

from oneflower.warm import wire

TOLD_PREFIX = "cold-"
BIN = Path(__file__).resolve().parent / "bin"


def own_program(program: str) -> str:
    """Path of Flower's own program: the first of that name on PATH that is not ours.

    :raises FileNotFoundError: there is none.
    """
    beside_python = str(Path(sys.executable).parent)
    for folder in [*os.environ.get("PATH", "").split(os.pathsep), beside_python]:
        candidate = Path(folder) / program
        if folder and candidate.parent.resolve() != BIN and os.access(candidate, os.X_OK):
            return str(candidate)
    raise FileNotFoundError(f"{program} is not on the PATH")


def run_plain(program: str, reason: str | None = None) -> NoReturn:
    """Become Flower's own program; a reason is told, once in the life of this process tree."""
    if reason is not None:
        tell_cold(program, reason)
    path = own_program(program)
    os.execv(path, [path, *sys.argv[1:]])  # noqa: S606


def forget_told(folder: Path) -> None:
    """A server that starts again says again what its apps do not start warm for."""
    for mark in folder.glob(f"{TOLD_PREFIX}*"):
        mark.unlink(missing_ok=True)


def tell_cold(program: str, reason: str) -> None:
    """Say why a program does not start warm, unless that was said before."""
    folder = wire.warm_folder()
    if folder is not None:
        mark = folder / f"{TOLD_PREFIX}{zlib.crc32(f'{program} {reason}'.encode()):08x}"
        with contextlib.suppress(OSError):
            try:
                os.close(os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            except FileExistsError:
                return
    # Only here: an app that starts warm waits for none of these imports.
    from oneflower.events import Events

    Events.of_process().worker_cold(program=program, reason=reason)
