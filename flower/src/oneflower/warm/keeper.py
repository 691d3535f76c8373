"""Keeps one zygote beside a SuperExec: starts it, starts it again when it was killed, and takes it along at the end."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from oneflower.log import logger

ZYGOTE = Path(__file__).resolve().parent / "bin" / "oneflower-zygote"
# Between two starts, doubled as long as zygotes do not live longer than they import.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
SETTLED_SECONDS = 60.0


@dataclass
class StartedZygote:
    """A zygote, and the end of the pipe that it watches: it ends when that is closed."""

    process: subprocess.Popen[bytes]
    lifeline: int


Start = Callable[[], StartedZygote]


class ZygoteKeeper:
    """``look`` is called again and again by the loop of the SuperExec."""

    def __init__(self, start: Start, now: Callable[[], float] = time.monotonic) -> None:
        self._start = start
        self._now = now
        self._pause = FIRST_PAUSE
        self._zygote: StartedZygote | None = None
        self._started = 0.0
        self._next = float("-inf")

    def look(self) -> None:
        """Start a zygote where none runs and the pause since the last one is over."""
        now = self._now()
        if self._zygote is not None:
            if self._zygote.process.poll() is None:
                return
            os.close(self._zygote.lifeline)
            self._zygote = None
            self._wait(now, settled=now - self._started > SETTLED_SECONDS)
        if now < self._next:
            return
        try:
            self._zygote, self._started = self._start(), now
        except OSError as error:
            # A machine that is short of memory or processes: the SuperExec goes on, and its apps start cold.
            logger.warning("No zygote could be started: %s", error)
            self._wait(now, settled=False)

    def _wait(self, now: float, *, settled: bool) -> None:
        self._pause = FIRST_PAUSE if settled else min(2 * self._pause, LONGEST_PAUSE)
        self._next = now + self._pause


def start_zygote(program: str, folder: Path) -> StartedZygote:
    """Start a zygote that ends when this process does, however that ends."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, str(ZYGOTE), program, str(folder), str(reading)],
            stdin=subprocess.DEVNULL,
            pass_fds=[reading],
            start_new_session=True,
        )
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    return StartedZygote(process, writing)
