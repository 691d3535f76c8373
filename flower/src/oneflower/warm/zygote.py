"""The zygote: a process that has Flower's runner and the framework imported, and forks a clean process per message.

It runs no code of any app, starts no thread of its own and touches no device, so that a fork is what a new process
would be after its imports. It lives as long as the process that started it, whose end of a pipe it watches.
"""

import contextlib
import gc
import os
import select
import selectors
import signal
import socket
import sys
import time
import traceback
from pathlib import Path

from oneflower.events import Events
from oneflower.log import logger
from oneflower.warm import wire, worker
from oneflower.warm.apps import shorten_app
from oneflower.warm.internals import UnknownFlowerError
from oneflower.warm.modules import import_all, import_runner, wanted_modules

REQUEST_SECONDS = 5.0
# For apps that are at work when the SuperNode ends: they notice it themselves and say goodbye.
LAST_SECONDS = 10.0
# What imports read: a request with other values is not the same program. The rest is taken over from the request;
# Flower's servers set some of it themselves while they run.
READ_BY_IMPORTS = ("PYTHON", "FLWR_", "LD_", "OMP_", "MKL_", "OPENBLAS_", "CUDA_", "TORCH_", "TF_", "KERAS_", "HF_")
READ_BY_NAME = frozenset({"PATH", "HOME", "TMPDIR", "ONEFLOWER_FRAMEWORK", "ONEFLOWER_USE_CASE"})
INSTALLS = "--allow-runtime-dependency-installation"


class RefusedError(Exception):
    """Why a request is not done here."""


class Zygote:
    """Serves requests; ``serve`` returns in a fork as soon as that is the process that was asked for."""

    def __init__(self, program: str, listener: socket.socket, lifeline: int, environment: dict[str, str]) -> None:
        self._program = program
        self._environment = environment
        self._listener = listener
        self._lifeline = lifeline
        self._selector = selectors.DefaultSelector()
        self._ended, self._ending = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._waiting: set[socket.socket] = set()
        self._workers: dict[int, socket.socket] = {}
        self._identity = wire.identity()

    def serve(self) -> bool:
        """Serve until the lifeline's other end is closed. Returns whether this is a fork that is to do its work."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(self._ending, warn_on_full_buffer=False)
        for source in (self._listener, self._lifeline, self._ended):
            self._selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj == self._lifeline:
                    self._end()
                    return False
                if self._handle(key.fileobj):
                    return True

    def _handle(self, source: object) -> bool:
        """Answer what has come. Returns whether this is the fork."""
        if source is self._listener:
            self._greet()
        elif source == self._ended:
            os.read(self._ended, 1 << 12)
            self._bury()
        elif isinstance(source, socket.socket) and source in self._waiting:
            return self._answer(source)
        elif isinstance(source, socket.socket):
            self._asker_gone(source)
        return False

    def _greet(self) -> None:
        connection, _ = self._listener.accept()
        if wire.peer_user(connection) != os.geteuid():
            connection.close()
            return
        connection.settimeout(REQUEST_SECONDS)
        try:
            wire.send(connection, {"identity": self._identity})
        except OSError:
            connection.close()
            return
        self._waiting.add(connection)
        self._selector.register(connection, selectors.EVENT_READ)

    def _answer(self, connection: socket.socket) -> bool:
        self._waiting.discard(connection)
        files: list[int] = []
        try:
            request, files = wire.receive(connection, descriptors=3)
            if request is None:
                self._drop(connection)
                return False
            self._check(request)
            return self._fork(request, files, connection)
        except RefusedError as refusal:
            self._refuse(connection, str(refusal))
        except (wire.WireError, OSError, KeyError, TypeError, ValueError) as error:
            self._refuse(connection, f"the request cannot be read: {error}")
        finally:
            for descriptor in files:
                _close(descriptor)
        return False

    def _refuse(self, connection: socket.socket, reason: str) -> None:
        with contextlib.suppress(OSError):
            wire.send(connection, {"refused": reason})
        self._drop(connection)

    def _check(self, request: wire.Message) -> None:
        """Imports have seen this process's environment: a request with another one is not the same program."""
        if request["program"] != self._program:
            raise RefusedError(f"the zygote runs {self._program} only")
        if INSTALLS in request["argv"]:
            raise RefusedError("the app brings packages of its own")
        given = request["environment"]
        names = {name for name in {*given, *self._environment} if name.startswith(READ_BY_IMPORTS)} | READ_BY_NAME
        differ = sorted(name for name in names if given.get(name) != self._environment.get(name))
        if differ:
            raise RefusedError(f"the environment differs in {', '.join(differ)}")

    def _fork(self, request: wire.Message, files: list[int], connection: socket.socket) -> bool:
        sys.stdout.flush()
        sys.stderr.flush()
        earlier = list(self._workers)
        process = os.fork()
        if process == 0:
            try:
                self._forget(connection)
                # What imports have set stays; what the zygote alone was given does not.
                for name in self._environment.keys() - request["environment"].keys():
                    os.environ.pop(name, None)
                worker.become(request, files, connection, earlier)
                files.clear()
            except BaseException:  # a fork must never go on as a second zygote
                traceback.print_exc()
                os._exit(worker.BROKEN)
            return True
        self._workers[process] = connection
        return False

    def _forget(self, kept: socket.socket) -> None:
        """Close in a fork what belongs to the zygote."""
        self._selector.close()
        signal.set_wakeup_fd(-1)
        for descriptor in (self._lifeline, self._ended, self._ending):
            os.close(descriptor)
        self._listener.close()
        for connection in {*self._waiting, *self._workers.values()} - {kept}:
            connection.close()

    def _asker_gone(self, connection: socket.socket) -> None:
        """Nobody waits for the process any more: whoever ended the asker meant it."""
        for process, asker in self._workers.items():
            if asker is connection:
                self._selector.unregister(connection)
                os.kill(process, signal.SIGKILL)
                return
        self._drop(connection)

    def _bury(self) -> None:
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if process == 0:
                return
            connection = self._workers.pop(process, None)
            if connection is None:
                continue
            with contextlib.suppress(OSError):
                wire.send(connection, {"status": status})
            self._drop(connection)

    def _drop(self, connection: socket.socket) -> None:
        if connection.fileno() < 0:
            # Its fork and its asker have ended between two looks: the first of both has closed it.
            return
        if connection in self._selector.get_map():
            self._selector.unregister(connection)
        connection.close()

    def _end(self) -> None:
        """The SuperNode has ended, and with it its apps; what does not end by itself is ended."""
        self._listener.close()
        until = time.monotonic() + LAST_SECONDS
        while self._workers and time.monotonic() < until:
            if select.select([self._ended], [], [], 0.2)[0]:
                os.read(self._ended, 1 << 12)
            self._bury()
        for process in self._workers:
            os.kill(process, signal.SIGKILL)


def main() -> None:
    """Run a zygote: ``zygote.py PROGRAM FOLDER LIFELINE``, the last one an open descriptor."""
    program, folder, lifeline = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    environment = dict(os.environ)
    os.set_inheritable(lifeline, False)  # noqa: FBT003
    listener = _listen(folder / wire.SOCKET_NAME)
    # Askers wait in the socket's queue from here on.
    entry = import_runner(program)
    modules = import_all(wanted_modules(program, environment))
    try:
        shorten_app(program)
    except UnknownFlowerError as error:
        # Its forks wait as Flower does, and start warm all the same.
        logger.warning("%s waits as it does: %s", program, error)
    gc.collect()
    # Collections in forks would else write to every page that they share.
    gc.freeze()
    Events.of_process().worker_warm(program=program, pid=os.getpid(), memory_mb=_memory_mb(), modules=modules)
    if Zygote(program, listener, lifeline, environment).serve():
        worker.run(entry)


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with wire.short_path(path) as short:
            listener.bind(short)
    finally:
        os.umask(before)
    listener.listen(64)
    return listener


def _memory_mb() -> float:
    """What this process holds (VmRSS), in MB of 1,000,000 bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    return 0.0


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        return
