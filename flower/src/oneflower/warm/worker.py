"""A fork of the zygote that becomes the process that was asked for."""

import ctypes
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from oneflower.warm import wire

# Nothing of an earlier message lasts longer than this after its reply, or it hangs and is not waited for.
EARLIER_SECONDS = 2.0
# prctl(2): the name of a thread, 15 characters.
PR_SET_NAME = 15
BROKEN = 70


def become(request: wire.Message, files: list[int], connection: socket.socket, earlier: Iterable[int]) -> None:
    """Take on the request's arguments, folder, environment and files, and say so.

    Random numbers: Python's own generator is seeded anew by every fork. NumPy's would go on from the zygote's state
    and is seeded here; PyTorch's begins in every process with the same seed, which a fork has unchanged.
    """
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number, descriptor in enumerate(files):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.umask(request["umask"])
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    sys.argv[:] = request["argv"]
    # Where a script of the environment would look first.
    sys.path[0] = str(Path(sys.executable).parent)
    _set_name(request["program"])
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    _wait_for_end(earlier)
    # The asker counts on it that without this word nothing runs.
    wire.send(connection, {"pid": os.getpid()})
    connection.close()


def run(entry: Callable[[], None]) -> NoReturn:
    """Run the program to the end of the process, as a Python that was started for it would."""
    code = 0
    try:
        entry()
    except SystemExit as end:
        code = _status_of(end)
    except BaseException:  # whatever an app raises ends its own process only
        sys.excepthook(*sys.exc_info())
        code = 1
    # Without the fork's own teardown of modules: it would copy most pages that are shared with the zygote.
    threading._shutdown()  # type: ignore[attr-defined]
    _run_exit_functions()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(code)


def _run_exit_functions() -> None:
    import atexit

    atexit._run_exitfuncs()


def _status_of(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF
    print(end.code, file=sys.stderr)
    return 1


def _set_name(program: str) -> None:
    """Show the program in ps and top."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, program.encode()[:PR_SET_NAME], 0, 0, 0)


def _wait_for_end(earlier: Iterable[int]) -> None:
    """Wait for earlier messages' processes: what an app leaves in its context is handed over after its reply."""
    until = time.monotonic() + EARLIER_SECONDS
    for process in earlier:
        while time.monotonic() < until and _exists(process):
            time.sleep(0.005)


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
