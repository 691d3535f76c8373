"""A wrapper around any Flower strategy that runs its rounds and tells the agent what happens in each."""

import math
import re
import time
from collections.abc import Callable, Iterable

from flwr.app import ArrayRecord, ConfigRecord, Error, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy

from oneflower.asked import Asked
from oneflower.checkpoints.manifest import RoundRecord
from oneflower.checkpoints.state import chain_of, remember, strategy_name
from oneflower.events import Events, finite_metrics
from oneflower.log import logger
from oneflower.metrics import is_broken
from oneflower.privacy import METRIC as PRIVACY_METRIC
from oneflower.privacy import Privacy
from oneflower.replies import SentArrays, can_be_checked, sound_replies
from oneflower.strategies.fault_tolerant import FaultTolerantFedAvg
from oneflower.strategies.robustness import weakness
from oneflower.text import one_line
from oneflower.versions import VERSIONS_RECORD
from oneflower.waiting import nodes_wanted, wait_for_nodes

# How a SuperNode writes an exception of a ClientApp: <class 'module.Name'>:<'text'>
_WRAPPED_REASON = re.compile(r"<class '[^']*'>:<'(.*)'>$", re.DOTALL)
NO_REPLY = "No reply came within the time limit."

Seconds = Callable[[], float]
EvaluateArrays = Callable[[int, ArrayRecord], MetricRecord | None]
RoundEnded = Callable[[RoundRecord, ArrayRecord], None]

# The longest that a node's versions are told with, and how many.
MAX_VERSION = 100
MAX_VERSIONS = 20


class ReportingStrategy(Strategy):
    """Hands every call to ``inner`` and sends round_start, client_failure and round_end events.

    Rounds are counted over all runs that continue one another: the first one here is ``first_round``, and that number
    goes to the strategy, the nodes, the events and the log. ``on_round_end`` is called after each.
    """

    def __init__(
        self,
        inner: Strategy,
        events: Events,
        clock: Seconds = time.monotonic,
        *,
        first_round: int = 1,
        on_round_end: RoundEnded | None = None,
        privacy: Privacy | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if type(inner).start is not Strategy.start:
            logger.warning("%s has a start of its own, which is not used", type(inner).__name__)
        self.inner = inner
        self.rounds_done = first_round - 1
        # The last round whose arrays were aggregated: an exchange that fails as a whole leaves the old ones.
        self.aggregated_round = first_round - 1
        self.metrics: dict[str, float] = {}
        # Losses of the round that are no finite numbers, by name.
        self.broken_losses: dict[str, float] = {}
        # Of the last round's training: examples by node, and versions that nodes have told.
        self.node_examples: dict[str, int] = {}
        self.versions: dict[str, str] = {}
        self._first_round = first_round
        self._on_round_end = on_round_end
        self._events = events
        self._clock = clock
        self._sleep = sleep
        self._round_began = 0.0
        self._asked = Asked()
        # Why no model can come of the round under way.
        self._trouble: str | None = None
        self._responded: set[int] = set()
        self._failed: set[int] = set()
        self._privacy = privacy
        # What the nodes were given to train; None for a strategy whose replies need not be alike.
        self._sent: SentArrays | None = None
        if privacy is not None:
            privacy.check(inner)
        if isinstance(inner, FaultTolerantFedAvg):
            inner.sort_out, inner.on_repeat = self._usable, self._repeat

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
        """Run the rounds up to number ``num_rounds`` in the order of Flower's own ``start``.

        That one always counts from 1. A round ends after the evaluation on the server, if there is one. Results are
        by the number of the round.
        """
        self.summary()
        result = Result(arrays=initial_arrays)
        if evaluate_fn and self._first_round == 1:
            _keep(result.evaluate_metrics_serverapp, 0, evaluate_fn(0, initial_arrays))
        train_config = ConfigRecord() if train_config is None else train_config
        evaluate_config = ConfigRecord() if evaluate_config is None else evaluate_config
        for number in range(self._first_round, num_rounds + 1):
            logger.info("Round %d of %d", number, num_rounds)
            self._train(number, grid, result, train_config, timeout)
            self._evaluate(number, grid, result, evaluate_config, timeout)
            if evaluate_fn:
                metrics = evaluate_fn(number, result.arrays)
                self._note(metrics)
                _keep(result.evaluate_metrics_serverapp, number, metrics)
            self._end_round(number, result.arrays)
        return result

    def _train(self, number: int, grid: Grid, result: Result, config: ConfigRecord, timeout: float) -> None:
        wait_for_nodes(grid, nodes_wanted(self.inner, "train"), self._sleep, self._events)
        questions = self.configure_train(number, result.arrays, config, grid)
        arrays, metrics = self.aggregate_train(number, grid.send_and_receive(questions, timeout=timeout))
        result.arrays = result.arrays if arrays is None else arrays
        _keep(result.train_metrics_clientapp, number, metrics)

    def _evaluate(self, number: int, grid: Grid, result: Result, config: ConfigRecord, timeout: float) -> None:
        wait_for_nodes(grid, nodes_wanted(self.inner, "evaluate"), self._sleep, self._events)
        questions = self.configure_evaluate(number, result.arrays, config, grid)
        metrics = self.aggregate_evaluate(number, grid.send_and_receive(questions, timeout=timeout))
        _keep(result.evaluate_metrics_clientapp, number, metrics)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        self._sent = SentArrays(arrays) if can_be_checked(self.inner) else None
        messages = list(self.inner.configure_train(server_round, arrays, config, grid))
        # The wait for enough nodes lies in the call above and is no part of the round.
        self._round_began = self._clock()
        self._responded, self._failed, self.metrics, self.broken_losses = set(), set(), {}, {}
        self._await(messages)
        self._events.round_start(server_round=server_round, num_clients_selected=len(messages))
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        received = self._usable(server_round, list(replies))
        put_back = remember(self.inner)
        arrays, metrics = self.inner.aggregate_train(server_round, received)
        if arrays is not None and self._sent is not None:
            arrays = self._sent.restore(arrays)
            if arrays is None:
                # Moments of what is no number would spoil all rounds to come.
                put_back()
                self._trouble = "its aggregate is no finite number"
        if arrays is None:
            error = self._trouble or f"{strategy_name(self.inner)} has made no model of the replies"
            logger.error("Round %d has failed: %s. The model stays as it was", server_round, error)
            self._events.round_failed(server_round=server_round, error=error)
        else:
            self.aggregated_round = server_round
            if self._privacy is not None:
                self._privacy.release()
        self._note(metrics)
        if self._privacy is not None and (epsilon := self._privacy.epsilon()) is not None:
            self._note(MetricRecord({PRIVACY_METRIC: epsilon}))
        return arrays, metrics

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        messages = list(self.inner.configure_evaluate(server_round, arrays, config, grid))
        self._await(messages)
        return messages

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        received = list(replies)
        answers = self._sort_out(server_round, received)
        if can_be_checked(self.inner):
            answers = sound_replies(answers, None, lambda node, error: self._fail(server_round, node, error))
        errors = [reply for reply in received if reply.has_error()]
        metrics = self.inner.aggregate_evaluate(server_round, [*errors, *answers])
        self._note(metrics)
        return metrics

    def summary(self) -> None:
        self.inner.summary()

    def _await(self, messages: list[Message]) -> None:
        self._asked = Asked(messages)

    def _usable(self, server_round: int, replies: list[Message]) -> list[Message]:
        """Replies to a training: errors, and those that can be aggregated; other nodes have failed."""
        answers = self._sort_out(server_round, replies)
        self._note_versions(answers)
        if self._sent is not None:
            answers = sound_replies(answers, self._sent, lambda node, error: self._fail(server_round, node, error))
        self._note_examples(answers)
        if self._privacy is not None and self._sent is not None:
            self._privacy.protect(answers, self._sent)
        self._responded = {reply.metadata.src_node_id for reply in answers}
        if not answers:
            self._trouble = "no node's training can be used"
            self._note_broken(reply for reply in replies if not reply.has_error())
        else:
            self._trouble = weakness(self.inner, len(self._asked.nodes), len(answers))
            answers = [] if self._trouble else answers
        return [*(reply for reply in replies if reply.has_error()), *answers]

    def _repeat(self, server_round: int, attempt: int, error: str, questions: list[Message]) -> None:
        self._await(questions)
        logger.warning("Round %d is repeated, attempt %d: %s", server_round, attempt, error)
        self._failed = set()
        self._events.round_repeated(server_round=server_round, attempt=attempt, error=error)

    def _sort_out(self, server_round: int, replies: list[Message]) -> list[Message]:
        """Report the nodes that failed or kept silent. Returns the replies of the others."""
        answers: list[Message] = []
        silent = self._asked.nodes
        for reply in replies:
            node = self._asked.node_of(reply)
            silent.discard(node)
            if reply.has_error():
                self._fail(server_round, node, clean_error(reply))
            else:
                answers.append(reply)
        for node in sorted(silent):
            self._fail(server_round, node, NO_REPLY)
        return answers

    def _fail(self, server_round: int, node: int, error: str) -> None:
        self._failed.add(node)
        self._events.client_failure(server_round=server_round, node_id=node, error=error)

    def _note(self, metrics: MetricRecord | None) -> None:
        if metrics is None:
            return
        self.metrics.update(finite_metrics(dict(metrics)))
        for name, value in metrics.items():
            if isinstance(value, float) and is_broken(name, value):
                self.broken_losses[name] = value

    def _note_broken(self, replies: Iterable[Message]) -> None:
        """Losses of replies of which none can be used: a training that has come apart is told by them."""
        for reply in replies:
            for metrics in reply.content.metric_records.values():
                self._note(MetricRecord({name: value for name, value in metrics.items() if is_broken(name, value)}))

    def _note_examples(self, replies: list[Message]) -> None:
        weight = str(getattr(chain_of(self.inner)[-1], "weighted_by_key", "num-examples"))
        self.node_examples = {}
        for reply in replies:
            for metrics in reply.content.metric_records.values():
                examples = metrics.get(weight)
                if isinstance(examples, int | float) and math.isfinite(examples) and examples >= 0:
                    self.node_examples[str(reply.metadata.src_node_id)] = int(examples)

    def _note_versions(self, replies: list[Message]) -> None:
        """Versions that nodes tell in a record beside their arrays; most tell none."""
        found: dict[str, set[str]] = {}
        for reply in replies:
            told = reply.content.get(VERSIONS_RECORD)
            for name, version in told.items() if isinstance(told, ConfigRecord) else ():
                found.setdefault(name[:MAX_VERSION], set()).add(str(version)[:MAX_VERSION])
        few = sorted(found.items())[:MAX_VERSIONS]
        self.versions = {name: ", ".join(sorted(versions))[:MAX_VERSION] for name, versions in few}

    def _end_round(self, server_round: int, arrays: ArrayRecord) -> None:
        self.rounds_done = server_round
        seconds = self._clock() - self._round_began
        self._events.round_end(
            server_round=server_round,
            num_clients_responded=len(self._responded),
            num_clients_failed=len(self._failed),
            seconds=seconds,
            metrics=self.metrics,
        )
        if self._on_round_end is not None:
            trained = self.aggregated_round == server_round
            self._on_round_end(RoundRecord(server_round, dict(self.metrics), seconds, trained), arrays)


def _keep(results: dict[int, MetricRecord], server_round: int, metrics: MetricRecord | None) -> None:
    if metrics is not None:
        logger.info("Metrics of round %d: %s", server_round, dict(metrics))
        results[server_round] = metrics


def clean_error(reply: Message) -> str:
    """What an error reply says, with its code, on one line and without the type of the exception around it.

    The reply says no more than that from here on: Flower's strategies log it as it is.
    """
    reason = reply.error.reason or "no reason given"
    wrapped = _WRAPPED_REASON.match(reason)
    said = one_line(wrapped.group(1) if wrapped else reason)
    reply.error = Error(reply.error.code, said)
    return f"{said} (code {reply.error.code})"
