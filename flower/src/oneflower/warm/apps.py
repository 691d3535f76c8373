"""Shorter waits in app processes, and an end to those that hang, put into the zygote before it forks."""

import time
from typing import Any

from oneflower.warm.internals import (
    check_release,
    expect_time,
    function_of,
    module_of,
    pulls_of_objects,
)
from oneflower.warm.limit import end_in_time
from oneflower.warm.waits import Pace, PacedTime, UploadedLogs

GRID = "flwr.superlink.grid.http_grid"
LOGGER = "flwr.supercore.logger"
# Seconds, of a ServerApp's wait for the replies of nodes in a round; asks on loopback.
REPLIES = 0.1
# However long a round is silent: Flower tells that a node is lost only to who asks while it is away, and a node that
# was killed can be back between two looks.
REPLIES_AT_MOST = 0.5


def shorten_app(program: str) -> None:
    """An app's waits for the objects of its message; a ServerApp's for replies and for its last log lines.

    A ClientApp ends when its round is over.

    :raises UnknownFlowerError: nothing was changed.
    """
    check_release()
    shorten_pulls = pulls_of_objects()
    if program == "flwr-serverapp":
        _shorten_serverapp()
    else:
        end_in_time()
    shorten_pulls()


def _shorten_serverapp() -> None:
    grid, logger = module_of(GRID), module_of(LOGGER)
    kind = getattr(grid, "HttpGrid", None)
    function_of(kind, "send_and_receive", (3,))
    push = function_of(kind, "push_messages")
    function_of(logger, "flush_logs", (1,))
    function_of(logger, "_log_uploader")
    expect_time(grid)
    expect_time(logger)
    pace = Pace(REPLIES)

    def push_and_note(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - Flower's own signature
        pushed = push(*args, **named)
        pace.stir()
        return pushed

    kind.push_messages = push_and_note  # type: ignore[union-attr]
    grid.time = PacedTime(lambda seconds: time.sleep(pace.wait(min(seconds, REPLIES_AT_MOST))))  # type: ignore[attr-defined]
    logger.time = PacedTime(UploadedLogs().sleep)  # type: ignore[attr-defined]
