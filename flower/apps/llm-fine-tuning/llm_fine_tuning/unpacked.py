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
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from oneflower.log import logger

MANIFEST = "manifest.json"
LOCK = ".lock"

Model = TypeVar("Model")


def flower_folder() -> Path:
    """The folder that Flower's processes of a node may write: FLWR_HOME, and .flwr where that is not set."""
    home = os.environ.get("FLWR_HOME")
    return Path(home) if home else Path("~/.flwr").expanduser()


def load_once(
    folder: Path, load: Callable[[Path], Model], unpack: Callable[[], Model], save: Callable[[Model, Path], object]
) -> Model:
    """The model in ``folder``, which is unpacked and saved there when it is not there whole.

    One process does that while others wait for it. A folder that cannot be written is a warning. What else lies beside
    ``folder`` is removed: models of other releases.

    :param folder: its name changes with all that the model depends on; its parent holds nothing else.
    """
    if _is_whole(folder):
        return load(folder)
    with _alone(folder.parent) as writable:
        if _is_whole(folder):
            return load(folder)
        model = unpack()
        if writable:
            _keep(folder, partial(save, model))
        return model


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
        # Also what processes that were killed have left.
        for old in folder.parent.iterdir():
            if old.name != LOCK:
                shutil.rmtree(old)
        draft = Path(tempfile.mkdtemp(dir=folder.parent))
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


def _warn(folder: Path, error: Exception) -> None:
    logger.warning("The base model cannot be kept in %s, each message unpacks it again: %s", folder, error)
