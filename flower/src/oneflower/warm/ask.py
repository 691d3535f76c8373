"""``flwr-clientapp`` and ``flwr-serverapp`` as Flower starts them: the work goes to a fork of the zygote.

This process stays as long as the fork runs: it passes signals on, and ends as the fork ended. Where the zygote cannot
help, it becomes Flower's own program.
"""

import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

from oneflower.warm import wire
from oneflower.warm.plain import run_plain

# A zygote that still imports answers when it is done; a cold start would import the same meanwhile.
HELLO_SECONDS = 30.0
# From the request to the fork's first word.
FORK_SECONDS = 30.0
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
# How a process ends that does not know how its fork has ended.
UNKNOWN_END = 1


class NotWarmError(Exception):
    """Why the zygote does not run the program; it has not begun to."""


def main(program: str) -> NoReturn:
    """Run an app program of Flower's."""
    folder = wire.warm_folder()
    if wire.switched_off() or folder is None:
        run_plain(program)
    try:
        connection, worker = _begin(program, folder / wire.SOCKET_NAME)
    except (NotWarmError, wire.WireError, OSError) as error:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        # A connection that is still open closes with this process image: the zygote forks for nobody who has gone.
        run_plain(program, str(error) or type(error).__name__)
    _follow(connection, worker)


def _begin(program: str, path: Path) -> tuple[socket.socket, int]:
    """Have the zygote fork. Returns the connection and the process id of the fork."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(HELLO_SECONDS)
    with wire.short_path(path) as short:
        connection.connect(short)
    _know(connection)
    # A signal that comes before there is a fork waits for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    wire.send(connection, _request(program), _standard_files())
    connection.settimeout(FORK_SECONDS)
    answer = _answer(connection)
    worker = answer.get("pid")
    if not isinstance(worker, int):
        raise NotWarmError(str(answer.get("refused", "the zygote answered in an unknown way")))
    connection.settimeout(None)
    return connection, worker


def _know(connection: socket.socket) -> None:
    """Make sure who is there before a token goes over the connection."""
    if wire.peer_user(connection) != os.geteuid():
        raise NotWarmError("the zygote is another user's process")
    if _answer(connection).get("identity") != wire.identity():
        raise NotWarmError("the zygote was started from other software")


def _request(program: str) -> wire.Message:
    mask = os.umask(0)
    os.umask(mask)
    return {
        "program": program,
        "argv": sys.argv,
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "umask": mask,
    }


def _answer(connection: socket.socket) -> wire.Message:
    answer, _ = wire.receive(connection)
    if answer is None:
        raise NotWarmError("the zygote has ended")
    return answer


def _standard_files() -> list[int]:
    """Standard input, output and errors; where one was closed, the null device."""
    files: list[int] = []
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
            files.append(descriptor)
        except OSError:
            files.append(os.open(os.devnull, os.O_RDWR))
    return files


def _follow(connection: socket.socket, worker: int) -> NoReturn:
    try:
        handle = os.pidfd_open(worker)
    except ProcessLookupError:
        handle = None

    def pass_on(number: int, _frame: object) -> None:
        if handle is not None:
            try:
                signal.pidfd_send_signal(handle, number)
            except ProcessLookupError:
                return

    for number in PASSED_ON:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    try:
        answer, _ = wire.receive(connection)
    except (wire.WireError, OSError):
        answer = None
    status = answer.get("status") if answer else None
    if isinstance(status, int):
        _end_as(status)
    # The zygote is gone, its fork is not: it does its message to the end.
    if handle is not None:
        select.select([handle], [], [])
    os._exit(UNKNOWN_END)


def _end_as(status: int) -> NoReturn:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.pause()
    os._exit(os.WEXITSTATUS(status))
