"""A wrapper around any Flower strategy that tells the agent what happens in each round."""

import re
import time
from collections.abc import Callable, Iterable

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy

from oneflower.events import Events, finite_metrics
from oneflower.log import logger

# How a SuperNode writes an exception of a ClientApp: <class 'module.Name'>:<'text'>
_WRAPPED_REASON = re.compile(r"<class '[^']*'>:<'(.*)'>$", re.DOTALL)
NO_REPLY = "No reply came within the time limit."

Seconds = Callable[[], float]
EvaluateArrays = Callable[[int, ArrayRecord], MetricRecord | None]


class ReportingStrategy(Strategy):
    """Hands every call to ``inner`` and sends round_start, client_failure and round_end events.

    The rounds run in Flower's own ``Strategy.start``, which calls the methods of this wrapper, so ``inner`` keeps
    its attributes and its state.
    """

    def __init__(self, inner: Strategy, events: Events, clock: Seconds = time.monotonic) -> None:
        if type(inner).start is not Strategy.start:
            logger.warning("%s has a start of its own, which is not used", type(inner).__name__)
        self.inner = inner
        self.rounds_done = 0
        # The last round whose arrays were aggregated: an exchange that fails as a whole leaves the old ones.
        self.aggregated_round = 0
        self.metrics: dict[str, float] = {}
        self._events = events
        self._clock = clock
        self._round_began = 0.0
        self._awaited: set[int] = set()
        self._responded: set[int] = set()
        self._failed: set[int] = set()
        self._server_side: EvaluateArrays | None = None

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: EvaluateArrays | None = None,
    ) -> Result:
        """Run the rounds as Flower does; a round ends after the evaluation on the server, if there is one."""
        self._server_side = evaluate_fn
        return super().start(
            grid,
            initial_arrays,
            num_rounds,
            timeout,
            train_config,
            evaluate_config,
            self._evaluate_on_server if evaluate_fn else None,
        )

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        messages = list(self.inner.configure_train(server_round, arrays, config, grid))
        # The wait for enough nodes lies in the call above and is no part of the round.
        self._round_began = self._clock()
        self._responded, self._failed, self.metrics = set(), set(), {}
        self._await(messages)
        self._events.round_start(server_round=server_round, num_clients_selected=len(messages))
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        received = list(replies)
        self._responded = self._sort_out(server_round, received)
        arrays, metrics = self.inner.aggregate_train(server_round, received)
        if arrays is not None:
            self.aggregated_round = server_round
        self._note(metrics)
        return arrays, metrics

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        messages = list(self.inner.configure_evaluate(server_round, arrays, config, grid))
        self._await(messages)
        return messages

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        received = list(replies)
        self._sort_out(server_round, received)
        metrics = self.inner.aggregate_evaluate(server_round, received)
        self._note(metrics)
        if self._server_side is None:
            self._end_round(server_round)
        return metrics

    def summary(self) -> None:
        self.inner.summary()

    def _evaluate_on_server(self, server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
        metrics = self._server_side(server_round, arrays) if self._server_side else None
        if server_round > 0:
            self._note(metrics)
            self._end_round(server_round)
        return metrics

    def _await(self, messages: list[Message]) -> None:
        self._awaited = {message.metadata.dst_node_id for message in messages}

    def _sort_out(self, server_round: int, replies: list[Message]) -> set[int]:
        """Report the nodes that failed or kept silent. Returns those that answered."""
        answered: set[int] = set()
        silent = set(self._awaited)
        for reply in replies:
            node = reply.metadata.src_node_id
            silent.discard(node)
            if reply.has_error():
                self._fail(server_round, node, error_text(reply))
            else:
                answered.add(node)
        for node in sorted(silent):
            self._fail(server_round, node, NO_REPLY)
        return answered

    def _fail(self, server_round: int, node: int, error: str) -> None:
        self._failed.add(node)
        self._events.client_failure(server_round=server_round, node_id=node, error=error)

    def _note(self, metrics: MetricRecord | None) -> None:
        if metrics is not None:
            self.metrics.update(finite_metrics(dict(metrics)))

    def _end_round(self, server_round: int) -> None:
        self.rounds_done = server_round
        self._events.round_end(
            server_round=server_round,
            num_clients_responded=len(self._responded),
            num_clients_failed=len(self._failed),
            seconds=self._clock() - self._round_began,
            metrics=self.metrics,
        )


def error_text(reply: Message) -> str:
    """What an error reply says, without the type of the exception in the other process around it."""
    reason = reply.error.reason or "no reason given"
    wrapped = _WRAPPED_REASON.match(reason)
    return f"{(wrapped.group(1) if wrapped else reason).strip()} (code {reply.error.code})"


def average_metrics(contents: list[RecordDict], weight_key: str) -> MetricRecord:
    """Mean of each metric, weighted by ``weight_key``, over the nodes where it is a finite number.

    A node can have a metric that its rows do not define, such as ROC-AUC with one kind of rows; it says NaN, and
    that must not spoil the mean of the others.
    """
    sums: dict[str, float] = {}
    weights: dict[str, float] = {}
    for content in contents:
        for record in content.metric_records.values():
            values = finite_metrics(dict(record))
            weight = values.pop(weight_key, 0.0)
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + weight * value
                weights[name] = weights.get(name, 0.0) + weight
    return MetricRecord({name: total / weights[name] for name, total in sums.items() if weights[name] > 0})
