"""How long to wait between two looks: short while something goes on, as long as Flower itself when nothing does.

A wait grows with the time since something last went on, so that it costs a small share of any pause, and it never
lets requests take more than a small share of the time: where the SuperLink is slow, nodes ask it less often.
"""

import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Seconds = Callable[[], float]
Wait = Callable[[float], None]

# Of a pause: after 10 s of silence nodes look once a second, after 30 s as seldom as Flower's own.
SHARE_OF_PAUSE = 0.1
# A node waits at least this many times as long as its last question took to be answered.
REST_PER_REQUEST = 3.0


@dataclass
class Pace:
    """Length of the next wait. ``longest`` is Flower's own and stands with each wait."""

    shortest: float
    now: Seconds = time.monotonic
    _stirred: float = float("-inf")
    _request: float = 0.0

    def stir(self) -> None:
        """Something went on."""
        self._stirred = self.now()

    def asked(self, seconds: float) -> None:
        """A question to the SuperLink took ``seconds``, and nothing was there."""
        self._request = seconds

    def wait(self, longest: float) -> float:
        """Seconds to wait now."""
        pause = (self.now() - self._stirred) * SHARE_OF_PAUSE
        return min(longest, max(self.shortest, pause, self._request * REST_PER_REQUEST))


class PacedTime:
    """Stands for the module ``time`` in one module of Flower's, with another ``sleep``."""

    def __init__(self, sleep: Wait) -> None:
        self.sleep = sleep

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the module time has
        return getattr(time, name)


class Wakeable:
    """A sleep that a datagram to a socket ends. Who is woken need not look by itself any sooner than Flower does."""

    def __init__(self, receiver: socket.socket | None, pace: Pace) -> None:
        self._receiver = receiver
        self._pace = pace
        self._is_woken = False

    def sleep(self, longest: float) -> None:
        """Sleep for ``longest`` seconds or less."""
        seconds = longest if self._is_woken else self._pace.wait(longest)
        if self._receiver is None:
            time.sleep(seconds)
            return
        ready, _, _ = select.select([self._receiver], [], [], seconds)
        if ready:
            self._is_woken = True
            self._receiver.recv(16)


class UploadedLogs:
    """Ends the wait of a ServerApp for its last log lines as soon as they are away.

    Flower's uploader takes what is there, sends it and sleeps; who waits for it sleeps a whole second to be sure.
    An uploader that goes to sleep has sent everything that it had taken.
    """

    def __init__(self) -> None:
        self._rounds = threading.Condition()
        self._round = 0

    def sleep(self, seconds: float) -> None:
        if threading.current_thread() is threading.main_thread():
            self._wait_for_round(seconds)
            return
        with self._rounds:
            self._round += 1
            self._rounds.notify_all()
        time.sleep(seconds)

    def _wait_for_round(self, seconds: float) -> None:
        with self._rounds:
            before = self._round
            self._rounds.wait_for(lambda: self._round > before, seconds)
