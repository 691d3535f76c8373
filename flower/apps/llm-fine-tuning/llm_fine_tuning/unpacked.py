"""A model that takes long to unpack is unpacked once for a node, not for each message: what came out stays on its disk.

It stays in a folder of its own, with the digests of its files in ``MANIFEST``. Nothing is flushed to the disk: what a
lost machine leaves half written is told by its digests, and made anew.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from oneflower.log import logger

MANIFEST = "manifest.json"
LOCK = ".lock"
DRAFT = "draft-"
# Seconds. Environments of several releases on a node each keep a model, of 520 MB for SmolLM2, as long as it is used.
UNUSED = 7 * 24 * 60 * 60

Model = TypeVar("Model")


def flower_folder() -> Path:
    """The folder that Flower's processes of a node may write: FLWR_HOME, and .flwr where that is not set."""
    home = os.environ.get("FLWR_HOME")
    return Path(home) if home else Path("~/.flwr").expanduser()


def load_once(
    folder: Path, load: Callable[[Path], Model], unpack: Callable[[], Model], save: Callable[[Model, Path], object]
) -> Model:
    """The model in ``folder``, which is unpacked and saved there when it is not there whole or cannot be loaded.

    One process does that while others wait for it. A folder that cannot be written is a warning. What lies beside
    ``folder`` is then removed, but for models of other releases that were used in the last days.

    :param folder: its name changes with all that the model depends on; its parent holds nothing else.
    """
    kept = _load_kept(folder, load)
    if kept is not None:
        return kept
    with _alone(folder.parent) as writable:
        kept = _load_kept(folder, load)
        if kept is not None:
            return kept
        model = unpack()
        if writable:
            _keep(folder, partial(save, model))
        return model


def _load_kept(folder: Path, load: Callable[[Path], Model]) -> Model | None:
    if not _is_whole(folder):
        return None
    with suppress(OSError):
        os.utime(folder)
    try:
        return load(folder)
    except Exception as error:
        # Also when another process removes the folder meanwhile.
        logger.warning("The base model kept in %s cannot be loaded: %s", folder, error)
        return None


def _is_whole(folder: Path) -> bool:
    """Reads all files: some 0.4 s of CPU time for 500 MB, and they are wanted next anyway."""
    try:
        digests = json.loads((folder / MANIFEST).read_bytes())
        return bool(digests == _digests(folder))
    except (OSError, ValueError):
        return False


def _digests(folder: Path) -> dict[str, str]:
    digests = {}
    for file in sorted(folder.iterdir()):
        if file.name != MANIFEST:
            with file.open("rb") as handle:
                digests[file.name] = hashlib.file_digest(handle, "sha256").hexdigest()
    return digests


@contextmanager
def _alone(parent: Path) -> Iterator[bool]:
    """Waits until no other process unpacks. Gives whether anything can be written."""
    with ExitStack() as stack:
        try:
            parent.mkdir(0o700, parents=True, exist_ok=True)
            lock = os.open(parent / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX)
            writable = True
        except OSError as error:
            _warn(parent, error)
            writable = False
        yield writable


def _keep(folder: Path, save: Callable[[Path], object]) -> None:
    draft: Path | None = None
    try:
        _clear(folder)
        draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=folder.parent))
        save(draft)
        (draft / MANIFEST).write_text(json.dumps(_digests(draft)))
        for file in draft.iterdir():
            file.chmod(0o600)
        draft.replace(folder)
    except Exception as error:
        # On a full disk safetensors raises an error of its own.
        _warn(folder.parent, error)
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)


def _clear(folder: Path) -> None:
    """Makes room for ``folder``. A draft is what a process that was killed has left."""
    oldest = time.time() - UNUSED
    for entry in folder.parent.iterdir():
        if entry.is_symlink() or not entry.is_dir():
            if entry.name != LOCK:
                entry.unlink()
        elif entry == folder or entry.name.startswith(DRAFT) or entry.stat().st_mtime < oldest:
            shutil.rmtree(entry)


def _warn(folder: Path, error: Exception) -> None:
    logger.warning("The base model cannot be kept in %s, each message unpacks it again: %s", folder, error)
