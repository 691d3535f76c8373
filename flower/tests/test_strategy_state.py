"""What a strategy carries from round to round is kept."""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, Message, MetricRecord
from flwr.serverapp.strategy import FedAvg

from resumable import Nodes, context_of, killed, newest, run

pytestmark = pytest.mark.usefixtures("server_app")


class Counting(FedAvg):
    """A strategy whose state nobody has told OneFlower of."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[object] = []
        self.limit = 3
        self.dice = random.Random(1)  # noqa: S311
        self.noise = np.random.default_rng(1)
        self.unused = random.Random(1)  # noqa: S311

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        self.calls.append(server_round)
        self.dice.random()
        self.noise.normal()
        return super().aggregate_train(server_round, replies)


class Telling(Counting):
    """One that says it itself."""

    def state_to_keep(self) -> dict[str, Any]:
        return {"calls": self.calls, "mean": np.float32(0.1), "rates": (0.1, float("nan")), "seen": {7: b"ab"}}

    def restore_state(self, state: dict[str, Any]) -> None:
        self.calls = state["calls"]
        self.restored = state


def test_unknown_state_is_named_once_and_training_goes_on(
    checkpoints: Path, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed(context_of(1), "3 train", Counting())
    run(context_of(2, resume_from=newest(checkpoints, 1)), Nodes(), Counting())
    told = [record.message for record in caplog.records if "does not hold" in record.message]
    assert len(told) == 1
    assert "Counting.calls, Counting.dice, Counting.noise: the strategy goes on with its arrays" in told[0]


def test_state_that_cannot_be_kept_ends_no_training(
    checkpoints: Path, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(Telling):
        def state_to_keep(self) -> dict[str, Any]:
            return {"calls": self.calls, "odd": object(), "objects": np.array([{}])}

    killed(context_of(1), "3 train", Odd())
    strategy = Odd()
    run(context_of(2, resume_from=newest(checkpoints, 1)), Nodes(), strategy)
    assert strategy.calls == [1, 2, 3, 4, 5, 6]
    assert "does not hold Odd.odd, Odd.objects" in caplog.text


def test_a_strategy_can_say_its_state_itself(checkpoints: Path, models: Path, caplog: pytest.LogCaptureFixture) -> None:
    killed(context_of(1), "3 train", Telling())
    strategy = Telling()
    run(context_of(2, resume_from=newest(checkpoints, 1)), Nodes(), strategy)
    assert strategy.calls == [1, 2, 3, 4, 5, 6]
    assert strategy.restored["mean"] == np.float32(0.1)
    assert strategy.restored["mean"].dtype == np.float32
    assert strategy.restored["rates"][0] == 0.1
    assert np.isnan(strategy.restored["rates"][1])
    assert strategy.restored["seen"] == {7: b"ab"}
    assert "does not hold" not in caplog.text
