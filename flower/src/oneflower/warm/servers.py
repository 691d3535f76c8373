"""Shorter waits in Flower's servers, put into the memory of one process. Flower's files stay as they are."""

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oneflower.warm import wire
from oneflower.warm.internals import check_release, expect_time, function_of, module_of, pulls_of_objects, type_of
from oneflower.warm.waits import Pace, PacedTime, Wakeable

SUPERNODE = "flwr.supernode.start_client_internal"
SUPERNODE_HANDLERS = "flwr.supernode.servicer.runtime.runtime_handlers"
SUPEREXEC = "flwr.supercore.superexec.run_superexec"
STATES = (
    ("flwr.server.superlink.linkstate.sql_linkstate", "SqlLinkState"),
    ("flwr.server.superlink.linkstate.in_memory_linkstate", "InMemoryLinkState"),
)

# Seconds, of the waits in a round: for the next message (asks the SuperLink), for the reply of the node's own app (a
# look into memory), and for the next task of an app (asks on loopback, where nobody wakes it).
NEXT_MESSAGE = 0.1
OWN_REPLY = 0.02
NEXT_TASK = 0.1


def shorten_supernode(folder: Path) -> None:
    """The SuperNode's waits for messages and for replies; it wakes its SuperExec for a message.

    Flower makes an app's task before the message that it is for is there whole. An app that starts at once would
    find it missing, so that the task is handed out when the message is complete.

    :raises UnknownFlowerError: nothing was changed.
    """
    check_release()
    module, handlers = module_of(SUPERNODE), module_of(SUPERNODE_HANDLERS)
    pull = function_of(module, "_pull_and_store_message")
    acquire = function_of(handlers, "acquire_task")
    function_of(module, "start_client_internal", (3,))
    function_of(module, "_push_messages", (0.5,))
    nothing = type_of(handlers, "AcquireTaskResponse")
    expect_time(module)
    shorten_pulls = pulls_of_objects()
    messages, replies = Pace(NEXT_MESSAGE), Pace(OWN_REPLY)
    taking_in = threading.Event()
    wake = waker(folder)

    def pull_and_note(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - Flower's own signature
        began = time.monotonic()
        taking_in.set()
        try:
            run = pull(*args, **named)
        finally:
            taking_in.clear()
        if run is None:
            messages.asked(time.monotonic() - began)
        else:
            replies.stir()
            wake()
        return run

    def acquire_complete(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - Flower's own signature
        return nothing() if taking_in.is_set() else acquire(*args, **named)

    def sleep(seconds: float) -> None:
        if seconds < 1:
            messages.stir()
            time.sleep(replies.wait(seconds))
        else:
            time.sleep(messages.wait(seconds))

    shorten_pulls()
    module._pull_and_store_message = pull_and_note  # type: ignore[attr-defined]
    handlers.acquire_task = acquire_complete  # type: ignore[attr-defined]
    module.time = PacedTime(sleep)  # type: ignore[attr-defined]


def shorten_superexec(folder: Path, between: Callable[[], None]) -> None:
    """The SuperExec's wait for tasks; ``between`` is called at each look.

    :raises UnknownFlowerError: nothing was changed.
    """
    check_release()
    module = module_of(SUPEREXEC)
    launched = function_of(module, "_handle_launch_result")
    function_of(module, "run_superexec")
    expect_time(module)
    pace = Pace(NEXT_TASK)
    waiting = Wakeable(_wake_receiver(folder), pace)

    def note_launch(*args: Any, **named: Any) -> None:  # noqa: ANN401 - Flower's own signature
        pace.stir()
        launched(*args, **named)

    def sleep(seconds: float) -> None:
        between()
        waiting.sleep(seconds)

    module._handle_launch_result = note_launch  # type: ignore[attr-defined]
    module.time = PacedTime(sleep)  # type: ignore[attr-defined]


def shorten_superlink(folder: Path) -> None:
    """The SuperLink wakes its SuperExec when a run is made.

    :raises UnknownFlowerError: nothing was changed.
    """
    check_release()
    states = [(kind, function_of(kind, "create_run")) for kind in (getattr(module_of(m), n, None) for m, n in STATES)]
    wake = waker(folder)
    for kind, create in states:
        kind.create_run = _followed_by(create, wake)  # type: ignore[union-attr]


def _followed_by(inner: Callable[..., Any], then: Callable[[], None]) -> Callable[..., Any]:
    def call(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - Flower's own signature
        result = inner(*args, **named)
        then()
        return result

    return call


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
        path.chmod(0o600)
    except OSError:
        receiver.close()
        return None
    return receiver
