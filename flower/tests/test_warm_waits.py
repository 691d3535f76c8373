import threading
import time
from dataclasses import dataclass

import pytest

from oneflower.warm.waits import Pace, PacedTime, UploadedLogs

FLOWERS_OWN = 3.0


@dataclass
class Clock:
    time: float = 1000.0

    def now(self) -> float:
        return self.time


def requests(pace: Pace, clock: Clock, seconds: float, answered_in: float = 0.0) -> int:
    """How often a node asks in some seconds in which nothing comes."""
    until, count = clock.time + seconds, 0
    while clock.time < until:
        clock.time += answered_in
        pace.asked(answered_in)
        count += 1
        clock.time += pace.wait(FLOWERS_OWN)
    return count


def test_an_idle_node_asks_no_more_often_than_flower() -> None:
    clock = Clock()
    assert requests(Pace(0.1, clock.now), clock, 600) <= 600 / FLOWERS_OWN
    pace = Pace(0.1, clock.now)
    pace.stir()
    requests(pace, clock, 40)
    assert requests(pace, clock, 600) <= 600 / FLOWERS_OWN


def test_a_node_asks_soon_after_a_message_and_ever_more_seldom() -> None:
    clock = Clock()
    pace = Pace(0.1, clock.now)
    pace.stir()
    waits = []
    for _ in range(60):
        waits.append(pace.wait(FLOWERS_OWN))
        clock.time += waits[-1]
    assert waits[0] == 0.1
    assert waits == sorted(waits)
    assert waits[-1] == FLOWERS_OWN
    # What comes within a pause is seen after a tenth of that pause more at the latest.
    clock.time = 5000
    pace.stir()
    clock.time += 8
    assert pace.wait(FLOWERS_OWN) == pytest.approx(0.8)


def test_the_price_of_a_pause_is_bounded() -> None:
    clock = Clock()
    pace = Pace(0.1, clock.now)
    pace.stir()
    assert requests(pace, clock, 60) < 60


def test_nodes_leave_a_slow_superlink_time() -> None:
    clock = Clock()
    pace = Pace(0.1, clock.now)
    pace.stir()
    pace.asked(0.5)
    assert pace.wait(FLOWERS_OWN) == 1.5
    pace.asked(20.0)
    assert pace.wait(FLOWERS_OWN) == FLOWERS_OWN
    pace.asked(0.001)
    assert pace.wait(FLOWERS_OWN) == 0.1


def test_only_sleep_is_another() -> None:
    slept: list[float] = []
    paced = PacedTime(slept.append)
    paced.sleep(7)
    assert slept == [7]
    assert paced.monotonic is time.monotonic
    with pytest.raises(AttributeError):
        _ = paced.nonsense


def test_the_wait_for_logs_ends_with_the_upload() -> None:
    logs = UploadedLogs()
    uploaded = threading.Event()

    def upload() -> None:
        uploaded.wait()
        logs.sleep(0)

    uploader = threading.Thread(target=upload)
    uploader.start()
    logs.sleep(0.01)
    assert uploader.is_alive()
    uploaded.set()
    began = time.monotonic()
    logs.sleep(30)
    assert time.monotonic() - began < 20
    uploader.join()
