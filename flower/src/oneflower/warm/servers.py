"""Shorter waits in Flower's own servers and in the ServerApp, put into the memory of one process.

Only where Flower is known to look as expected: of a release that was read, with the names and the numbers that are
replaced. Flower's files stay as they are.
"""

import importlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from oneflower.warm import wire
from oneflower.warm.waits import Pace, PacedTime, UploadedLogs, Wakeable

# Releases whose waits were read.
KNOWN_RELEASES = ("1.41.", "1.42.")
SUPERNODE = "flwr.supernode.start_client_internal"
SUPEREXEC = "flwr.supercore.superexec.run_superexec"
GRID = "flwr.superlink.grid.http_grid"
LOGGER = "flwr.supercore.logger"
STATES = (
    ("flwr.server.superlink.linkstate.sql_linkstate", "SqlLinkState"),
    ("flwr.server.superlink.linkstate.in_memory_linkstate", "InMemoryLinkState"),
)

# Seconds, of the waits in a round: for the next message (asks the SuperLink), for the reply of the node's own app (a
# look into memory), for the next task of an app (asks on loopback), for replies of nodes (asks on loopback).
NEXT_MESSAGE = 0.1
OWN_REPLY = 0.02
NEXT_TASK = 0.05
REPLIES = 0.1


class UnknownFlowerError(Exception):
    """Flower is not as it was when its waits were read."""


def check_release() -> None:
    """:raises UnknownFlowerError: another release than those that were read."""
    version = str(getattr(_module("flwr.supercore.version"), "package_version", ""))
    if not version.startswith(KNOWN_RELEASES):
        raise UnknownFlowerError(f"the waits of Flower {version} are not known")


def shorten_supernode(folder: Path) -> None:
    """The SuperNode's waits for messages and for replies; it wakes its SuperExec for a message.

    :raises UnknownFlowerError: nothing was changed.
    """
    check_release()
    module = _module(SUPERNODE)
    pull = _function(module, "_pull_and_store_message", ())
    _function(module, "start_client_internal", (3,))
    _function(module, "_push_messages", (0.5,))
    _expect_time(module)
    messages, replies = Pace(NEXT_MESSAGE), Pace(OWN_REPLY)
    wake = waker(folder)

    def pull_and_note(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - Flower's own signature
        began = time.monotonic()
        run = pull(*args, **named)
        if run is None:
            messages.asked(time.monotonic() - began)
        else:
            replies.stir()
            wake()
        return run

    def sleep(seconds: float) -> None:
        if seconds < 1:
            messages.stir()
            time.sleep(replies.wait(seconds))
        else:
            time.sleep(messages.wait(seconds))

    module._pull_and_store_message = pull_and_note  # type: ignore[attr-defined]
    module.time = PacedTime(sleep)  # type: ignore[attr-defined]


def shorten_superexec(folder: Path, between: Callable[[], None]) -> None:
    """The SuperExec's wait for tasks; ``between`` is called at each look.

    :raises UnknownFlowerError: nothing was changed.
    """
    check_release()
    module = _module(SUPEREXEC)
    launched = _function(module, "_handle_launch_result", ())
    _function(module, "run_superexec", ())
    _expect_time(module)
    pace = Pace(NEXT_TASK)
    waiting = Wakeable(_wake_receiver(folder))

    def note_launch(*args: Any, **named: Any) -> None:  # noqa: ANN401 - Flower's own signature
        pace.stir()
        launched(*args, **named)

    def sleep(seconds: float) -> None:
        between()
        if waiting.sleep(pace.wait(seconds)):
            pace.stir()

    module._handle_launch_result = note_launch  # type: ignore[attr-defined]
    module.time = PacedTime(sleep)  # type: ignore[attr-defined]


def shorten_superlink(folder: Path) -> None:
    """The SuperLink wakes its SuperExec when a run is made.

    :raises UnknownFlowerError: nothing was changed.
    """
    check_release()
    wake = waker(folder)
    states = [getattr(_module(module), name, None) for module, name in STATES]
    for state in states:
        _function(state, "create_run", ())
    for state in states:
        _after(state, "create_run", wake)


def shorten_app(program: str) -> None:
    """The waits of a ServerApp for replies and for its last log lines; another program has none.

    A Flower that is not known keeps its own.
    """
    if program != "flwr-serverapp":
        return
    try:
        check_release()
        grid, logger = _module(GRID), _module(LOGGER)
        kind = getattr(grid, "HttpGrid", None)
        _function(kind, "send_and_receive", (3,))
        push = _function(kind, "push_messages", ())
        _function(logger, "flush_logs", (1,))
        _function(logger, "_log_uploader", ())
        _expect_time(grid)
        _expect_time(logger)
    except UnknownFlowerError:
        return
    pace = Pace(REPLIES)

    def push_and_note(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - Flower's own signature
        pushed = push(*args, **named)
        pace.stir()
        return pushed

    kind.push_messages = push_and_note  # type: ignore[union-attr]
    grid.time = PacedTime(lambda seconds: time.sleep(pace.wait(seconds)))  # type: ignore[attr-defined]
    logger.time = PacedTime(UploadedLogs().sleep)  # type: ignore[attr-defined]


def waker(folder: Path) -> Callable[[], None]:
    """What wakes the SuperExec that listens in a folder; nobody need listen there."""
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.setblocking(False)  # noqa: FBT003
    lock = threading.Lock()

    def wake() -> None:
        try:
            with lock, wire.short_path(folder / wire.WAKE_NAME) as short:
                sender.sendto(b"!", short)
        except OSError:
            # Nobody listens, or has been told already: the SuperExec looks by itself as well.
            return

    return wake


def _wake_receiver(folder: Path) -> socket.socket | None:
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    path = folder / wire.WAKE_NAME
    try:
        path.unlink(missing_ok=True)
        with wire.short_path(path) as short:
            receiver.bind(short)
    except OSError:
        receiver.close()
        return None
    path.chmod(0o600)
    return receiver


def _after(kind: object, name: str, then: Callable[[], None]) -> None:
    inner = getattr(kind, name)

    def call(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - Flower's own signature
        result = inner(*args, **named)
        then()
        return result

    setattr(kind, name, call)


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UnknownFlowerError(f"Flower has no module {name}") from error


def _function(owner: object, name: str, constants: tuple[float, ...]) -> Callable[..., Any]:
    """A function by its name in which these numbers stand, the waits that are replaced among them."""
    found = getattr(owner, name, None)
    code = getattr(found, "__code__", None)
    if found is None or not isinstance(code, CodeType):
        raise UnknownFlowerError(f"Flower has no function {name} where it was")
    if not set(constants) <= {constant for constant in code.co_consts if isinstance(constant, int | float)}:
        raise UnknownFlowerError(f"Flower's {name} waits otherwise than it did")
    function: Callable[..., Any] = found
    return function


def _expect_time(module: ModuleType) -> None:
    if getattr(module, "time", None) is not time:
        raise UnknownFlowerError(f"{module.__name__} does not use the module time as it did")
