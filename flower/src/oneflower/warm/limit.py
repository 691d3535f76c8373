"""An app that hangs gives its node back when the round is over.

A SuperNode (1.41) takes the next message when the app has answered this one, however long that takes: one that hangs
keeps its node from this run and from all later ones. Nobody waits for its answer any more when the time of the round
is over: that which the run configuration names, or the one that servers keep to by default.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import NoReturn

from flwr.app import Context, Message

from oneflower.settings import TrainingSettings
from oneflower.warm.internals import function_of, module_of

KEY = "round-timeout"
# Of Flower's strategies and OneFlower's.
DEFAULT_SECONDS = TrainingSettings.round_timeout
# So long an app has that does not heed the exception: code outside of Python, or one that catches everything.
GRACE_SECONDS = 10.0
HUNG = 71


class RoundOverError(Exception):
    """The app took longer than a round lasts."""


def end_in_time() -> None:
    """Have every ClientApp of this process end when its round is over.

    :raises UnknownFlowerError: Flower calls it otherwise; nothing was changed.
    """
    kind = module_of("flwr.clientapp").ClientApp
    call = function_of(kind, "__call__")

    def within_round(app: object, message: Message, context: Context) -> Message:
        with _limit(_seconds_of(context.run_config)):
            reply: Message = call(app, message=message, context=context)
            return reply

    kind.__call__ = within_round


def _seconds_of(run_config: Mapping[str, object]) -> int:
    seconds = run_config.get(KEY)
    if isinstance(seconds, int) and not isinstance(seconds, bool) and seconds > 0:
        return seconds
    return DEFAULT_SECONDS


@contextlib.contextmanager
def _limit(seconds: int) -> Iterator[None]:
    def over(_number: int, _frame: FrameType | None) -> NoReturn:
        raise RoundOverError(f"The app took longer than the {seconds} s of a round ({KEY}): nobody waits for it")

    # Where the process ends without a reply, the SuperNode hears no heartbeat of it and answers in its place.
    last = threading.Timer(seconds + GRACE_SECONDS, os._exit, [HUNG])
    last.daemon = True
    last.start()
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGALRM, over) if in_main else None
    if in_main:
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        if in_main:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        last.cancel()
