"""FedAvg that repeats a round in which too few nodes answered.

Flower's strategies aggregate whatever has come; this one asks the same nodes again when less than a share of them
answered, so that no round's model rests on a few nodes alone.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

from oneflower.errors import TrainingFailedError
from oneflower.log import logger

MAX_ATTEMPTS = 3

# Round and replies, to the errors among them and those that can be aggregated.
SortOut = Callable[[int, list[Message]], list[Message]]
# Round, number of the attempt that begins, why, and its questions.
OnRepeat = Callable[[int, int, str, list[Message]], None]


def _without_errors(_: int, replies: list[Message]) -> list[Message]:
    return [reply for reply in replies if not reply.has_error()]


def _log_repeat(server_round: int, attempt: int, error: str, _: list[Message]) -> None:
    logger.warning("Round %d is repeated, attempt %d: %s", server_round, attempt, error)


class FaultTolerantFedAvg(FedAvg):
    """FedAvg with a completion rate: the share of the chosen nodes that must answer.

    :param completion_rate: above 0, at most 1.
    :param round_timeout: seconds that nodes have to answer when they are asked again.
    """

    def __init__(self, *, completion_rate: float, round_timeout: float, **settings: Any) -> None:  # noqa: ANN401
        super().__init__(**settings)
        self.completion_rate = completion_rate
        self.round_timeout = round_timeout
        # Set by whoever reports the rounds; replies of a repetition do not pass through Flower's own loop.
        self.sort_out: SortOut = _without_errors
        self.on_repeat: OnRepeat = _log_repeat
        self._grid: Grid | None = None
        self._asked: list[Message] = []

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        self._grid = grid
        self._asked = list(super().configure_train(server_round, arrays, config, grid))
        return self._asked

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Aggregate once enough nodes have answered, asking again if need be.

        :raises TrainingFailedError: too few nodes answered, ``MAX_ATTEMPTS`` times.
        """
        answers = _without_errors(server_round, list(replies))
        wanted = math.ceil(self.completion_rate * len(self._asked))
        attempt = 1
        while len(answers) < wanted:
            error = f"{len(answers)} of {len(self._asked)} nodes answered, {wanted} are wanted"
            if self._grid is None or attempt == MAX_ATTEMPTS:
                raise TrainingFailedError(
                    f"Round {server_round} was done {attempt} times and is given up: {error} "
                    f"(completion-rate={self.completion_rate}); see the errors of the nodes above"
                )
            attempt += 1
            again = [_copy_of(message) for message in self._asked]
            self.on_repeat(server_round, attempt, error, again)
            received = list(self._grid.send_and_receive(again, timeout=self.round_timeout))
            answers = _without_errors(server_round, self.sort_out(server_round, received))
        return super().aggregate_train(server_round, answers)

    def state_to_keep(self) -> dict[str, Any]:
        """Nothing of a round is carried into the next one."""
        return {}

    def restore_state(self, state: dict[str, Any]) -> None:
        """There is none."""


def _copy_of(message: Message) -> Message:
    """The same question, as a message that was not sent yet."""
    return Message(
        message.content, dst_node_id=message.metadata.dst_node_id, message_type=message.metadata.message_type
    )
