"""Starts Flower's own servers in this process, with shorter waits and a zygote for their apps.

``flower-supernode`` and ``flower-superlink`` make a folder for sockets, which their processes know by the environment;
``flower-superexec``, which they or an agent start, keeps the zygote in it.
"""

import atexit
import contextlib
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from oneflower.log import logger
from oneflower.warm import servers, wire
from oneflower.warm.internals import UnknownFlowerError
from oneflower.warm.keeper import ZygoteKeeper, start_zygote
from oneflower.warm.modules import PROGRAMS
from oneflower.warm.plain import BIN, forget_told, run_plain, tell_cold

# Where Flower's packages say that these programs begin.
ENTRIES = {
    "flower-superlink": ("flwr.superlink.cli", "flower_superlink", "flwr-serverapp"),
    "flower-supernode": ("flwr.supernode.cli", "flower_supernode", "flwr-clientapp"),
    "flower-superexec": ("flwr.supercore.cli", "flower_superexec", None),
}
FOLDER_PREFIX = "oneflower-warm-"


def main(program: str) -> None:
    """Run a server of Flower's in this process, or become it where it is not as expected."""
    if wire.switched_off():
        run_plain(program)
    module, name, app = ENTRIES[program]
    try:
        entry = getattr(importlib.import_module(module), name, None)
    except ImportError:
        entry = None
    if not callable(entry):
        run_plain(program, f"{module} has no {name}")
    _put_first_on_path()
    if app is not None:
        os.environ[wire.PROGRAM_VARIABLE] = app
    try:
        folder = socket_folder()
        if app is not None:
            forget_told(folder)
        prepare(program, folder)
    except (UnknownFlowerError, OSError) as error:
        logger.warning("%s runs as it is: %s", program, error)
        tell_cold(program, str(error))
    entry()


def prepare(program: str, folder: Path) -> None:
    """Shorten the waits of a server; a SuperExec gets its zygote.

    :raises UnknownFlowerError: nothing was changed.
    """
    if program == "flower-supernode":
        servers.shorten_supernode(folder)
    elif program == "flower-superlink":
        servers.shorten_superlink(folder)
    else:
        servers.shorten_superexec(folder, _look_after_zygote(folder))


def _look_after_zygote(folder: Path) -> Callable[[], None]:
    app = os.environ.get(wire.PROGRAM_VARIABLE, "")
    if app not in PROGRAMS:
        return lambda: None
    keeper = ZygoteKeeper(lambda: start_zygote(app, folder))
    keeper.look()
    return keeper.look


def socket_folder() -> Path:
    """The folder of this process tree's sockets; the first process of the tree makes it, unless it was given one."""
    given = os.environ.get(wire.FOLDER_VARIABLE, "")
    if given:
        Path(given).mkdir(mode=0o700, exist_ok=True)
    inherited = wire.warm_folder()
    if inherited is not None:
        return inherited
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))
    os.environ[wire.FOLDER_VARIABLE] = str(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _sweep() -> None:
    """Remove folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}[0-9]*-*"):
        # Names that others have made hold no number there.
        with contextlib.suppress(OSError, ValueError):
            owner = int(folder.name.removeprefix(FOLDER_PREFIX).split("-")[0])
            if folder.lstat().st_uid == os.geteuid() and not Path(f"/proc/{owner}").exists():
                shutil.rmtree(folder, ignore_errors=True)


def _put_first_on_path() -> None:
    """Flower starts its other programs by name."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    if folders[0] != str(BIN):
        os.environ["PATH"] = os.pathsep.join([str(BIN), *(folder for folder in folders if folder != str(BIN))])


def run(program: str) -> None:
    """``python -m oneflower.warm.supernode`` and ``.superlink``: as the program in ``bin``."""
    sys.argv[0] = str(BIN / program)
    main(program)
