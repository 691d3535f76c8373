"""What a ServerApp uses: ``Federation`` runs a strategy, tells the agent about it and keeps the final model.

A whole ServerApp of an own app::

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        Federation.begin(grid, context).train(ArrayRecord(initial_weights))
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy
from numpy.typing import NDArray

from oneflower.asked import Asked
from oneflower.checkpoints.best import Rule, check_rule
from oneflower.checkpoints.errors import CheckpointDamagedError, CheckpointError, CheckpointRefusedError
from oneflower.checkpoints.identity import Identity
from oneflower.checkpoints.keeper import CheckpointKeeper, NodeFacts, Schedule, Subject
from oneflower.checkpoints.manifest import RoundRecord
from oneflower.checkpoints.resume import CHECKPOINTS_VARIABLE, RESUME_KEY, Resumed, checkpoints_folder, open_checkpoint
from oneflower.checkpoints.state import StateKeeper, strategy_name
from oneflower.checkpoints.store import CheckpointStore, described
from oneflower.errors import TrainingFailedError
from oneflower.events import Events
from oneflower.log import logger
from oneflower.model_details import model_details, plain_mapping, write_details
from oneflower.model_file import ModelFileError, models_folder, write_model
from oneflower.privacy import Privacy, privacy_facts
from oneflower.settings import TrainingSettings
from oneflower.strategies.factory import build_strategy
from oneflower.strategy import NO_REPLY, EvaluateArrays, ReportingStrategy, clean_error
from oneflower.versions import server_versions
from oneflower.waiting import wait_for_nodes

__all__ = [
    "CheckpointDamagedError",
    "CheckpointError",
    "CheckpointRefusedError",
    "Federation",
    "TrainingFailedError",
]


class Federation:
    """One run, as its ServerApp sees it. Made by ``begin``."""

    def __init__(
        self,
        grid: Grid,
        context: Context,
        events: Events,
        settings: TrainingSettings,
        strategy: Strategy,
        sleep: Callable[[float], None],
        identity: Identity,
        resumed: Resumed | None,
    ) -> None:
        self.settings = settings
        # The checkpoint that the run goes on from, or None: an app that has it need not ask its nodes again.
        self.resumed = resumed
        self._identity = identity
        self._grid = grid
        self._run_id = context.run_id
        self._events = events
        self._strategy = strategy
        self._sleep = sleep
        self._began = time.monotonic()

    @classmethod
    def begin(
        cls,
        grid: Grid,
        context: Context,
        strategy: Strategy | None = None,
        *,
        app: str | None = None,
        framework: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> "Federation":
        """Read the run's settings and say that training begins; ``strategy`` is the one that they name, unless given.

        :param app: name of the app, by which checkpoints of others are told; that of the FAB unless given.
        :param framework: as ``app``; ``framework`` of the run configuration unless given.
        :raises RunConfigError: the run configuration holds a bad value.
        :raises CheckpointError: ``resume-from`` names a checkpoint that is damaged or of another app or strategy.
        """
        settings = TrainingSettings.of_run(context.run_config)
        strategy = strategy or build_strategy(context.run_config)
        name = strategy_name(strategy)
        identity = Identity.of_run(context.run_id, context.run_config, name, app=app, framework=framework)
        resumed = open_checkpoint(settings.resume_from, checkpoints_folder(), identity)
        events = Events.of_run(context.run_id)
        events.training_start(
            strategy=name,
            num_rounds=settings.num_rounds,
            min_clients=settings.nodes_to_begin,
            first_round=resumed.round + 1 if resumed else 1,
        )
        if RESUME_KEY not in context.run_config:
            logger.info("The app does not declare %s in [tool.flwr.app.config]: its runs cannot be resumed", RESUME_KEY)
        return cls(grid, context, events, settings, strategy, sleep, identity, resumed)

    def ask(self, question: RecordDict | None = None, timeout: float | None = None) -> dict[int, RecordDict]:
        """Ask every node that is online a query, once enough are. Returns the answers by node.

        :param timeout: seconds that nodes have to answer; those of a round unless given.
        :raises TrainingFailedError: fewer nodes answered than a round needs.
        """
        nodes = wait_for_nodes(self._grid, self.settings.nodes_to_begin, self._sleep, self._events)
        content = question if question is not None else RecordDict()
        queries = [Message(content, dst_node_id=node, message_type=MessageType.QUERY) for node in nodes]
        seconds = self.settings.round_timeout if timeout is None else timeout
        answers = self._sort_out(Asked(queries), self._grid.send_and_receive(queries, timeout=seconds))
        if len(answers) < self.settings.min_train_nodes:
            raise TrainingFailedError(
                f"{len(answers)} of {len(nodes)} nodes answered before the first round, "
                f"{self.settings.min_train_nodes} are needed: see the errors of the others above"
            )
        return answers

    def train(
        self,
        initial_arrays: ArrayRecord,
        *,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: EvaluateArrays | None = None,
        constants: Mapping[str, NDArray[Any]] | None = None,
        details: Mapping[str, object] | None = None,
        best: Rule | None = None,
    ) -> Result:
        """Run all rounds that remain, keep checkpoints on the way and the final arrays as a model file.

        :param constants: arrays that belong to the model but are not trained; they go into the file as well.
        :param details: what one must know to use the model; kept with it.
        :param best: metric by which the best round is told, and ``min`` or ``max``. Without it the lowest ``eval_loss``
            or the highest accuracy, whichever the first round has.
        :raises TrainingFailedError: no round had a result, or a loss is no finite number.
        :raises CheckpointRefusedError: the checkpoint to go on from is of another model; no round has begun.
        :raises ModelFileError: the model could not be written, nor is there a checkpoint that holds it.
        :raises ValueError: an array is both trained and constant.
        """
        constants, own = dict(constants or {}), plain_mapping(details or {})
        twice = sorted(set(initial_arrays) & set(constants))
        if twice:
            raise ValueError(f"Arrays are both trained and constant: {', '.join(twice)}")
        check_rule(best)
        state = StateKeeper(self._strategy)
        keeper = self._checkpoints(initial_arrays, constants, own, state, best)
        arrays = self._go_on(initial_arrays, constants, own, keeper, state)
        reporting = self._rounds(keeper)
        result = reporting.start(
            self._grid,
            arrays,
            num_rounds=self.settings.num_rounds,
            timeout=self.settings.round_timeout,
            train_config=train_config,
            evaluate_config=evaluate_config,
            evaluate_fn=evaluate_fn,
        )
        if self.settings.num_rounds > self._resumed_round == reporting.aggregated_round:
            rest = f" after checkpoint {self.resumed.place}" if self.resumed else ""
            raise TrainingFailedError(f"No node's training had a result in any round{rest}: see the errors above")
        metrics = keeper.history[-1].metrics if keeper.history else {}
        self._keep(result.arrays, constants, own, keeper, reporting.aggregated_round, metrics)
        self._events.training_end(
            total_rounds=reporting.rounds_done, seconds=time.monotonic() - self._began, metrics=metrics
        )
        return result

    @property
    def _resumed_round(self) -> int:
        """The round that the run goes on from; 0 where it begins."""
        return self.resumed.round if self.resumed else 0

    def _rounds(self, keeper: CheckpointKeeper) -> ReportingStrategy:
        def round_ended(record: RoundRecord, model: ArrayRecord) -> None:
            self._stop_if_broken(record.round, reporting.broken_losses)
            told = NodeFacts(reporting.node_examples, reporting.versions)
            keeper.round_ended(record, model, reporting.aggregated_round, told)

        reporting = ReportingStrategy(
            self._strategy,
            self._events,
            sleep=self._sleep,
            privacy=self._privacy(keeper),
            first_round=self._resumed_round + 1,
            on_round_end=round_ended,
        )
        return reporting

    def _privacy(self, keeper: CheckpointKeeper) -> Privacy | None:
        before = self.resumed.store.folder if self.resumed else None
        return Privacy.of_settings(self.settings, keeper.folder, before)

    def _checkpoints(
        self,
        initial: ArrayRecord,
        constants: Mapping[str, NDArray[Any]],
        details: dict[str, Any],
        state: StateKeeper,
        best: Rule | None,
    ) -> CheckpointKeeper:
        settings, root = self.settings, checkpoints_folder()
        self._identity = self._identity.completed(details)
        store = CheckpointStore(root / self._identity.run_id) if root and settings.checkpoint_enabled else None
        if store is None:
            reason = f"{CHECKPOINTS_VARIABLE} is not set" if root is None else "checkpoint-enabled is false"
            logger.info("%s: no checkpoints are written", reason)
        schedule = Schedule(settings.checkpoint_interval, settings.checkpoint_keep, settings.num_rounds)
        forms = described({name: array.numpy() for name, array in initial.items()})
        subject = Subject(self._identity, forms, constants, details, privacy_facts(settings))
        return CheckpointKeeper(store, schedule, subject, state, self._events, rule=best)

    def _go_on(
        self,
        initial: ArrayRecord,
        constants: Mapping[str, NDArray[Any]],
        details: Mapping[str, object],
        keeper: CheckpointKeeper,
        state: StateKeeper,
    ) -> ArrayRecord:
        """The arrays that training begins with: those of the checkpoint, if there is one and it is of this model."""
        if self.resumed is None:
            return initial
        self.resumed.check(self._identity, initial, constants)
        self.resumed.warn_of_details(details)
        model = self.resumed.restore(state)
        keeper.go_on_from(self.resumed)
        remaining = max(0, self.settings.num_rounds - self.resumed.round)
        logger.info("Going on from %s: %d rounds remain", self.resumed.place, remaining)
        return model

    def _stop_if_broken(self, server_round: int, losses: Mapping[str, float]) -> None:
        if losses and self.settings.stop_on_nan:
            named = ", ".join(f"{name} is {value}" for name, value in sorted(losses.items()))
            raise TrainingFailedError(
                f"Training has come apart in round {server_round}: {named}. Try a smaller client-lr or server-lr, look "
                "at the nodes' data, or set stop-on-nan=false to go on regardless; the last good checkpoint is kept"
            )

    def _sort_out(self, asked: Asked, replies: Iterable[Message]) -> dict[int, RecordDict]:
        errors = dict.fromkeys(sorted(asked.nodes), NO_REPLY)
        answers: dict[int, RecordDict] = {}
        for reply in replies:
            node = asked.node_of(reply)
            if reply.has_error():
                errors[node] = clean_error(reply)
            else:
                answers[node] = reply.content
                errors.pop(node, None)
        for node, error in errors.items():
            logger.warning("Node %d: %s", node, error)
            self._events.client_failure(server_round=0, node_id=node, error=error)
        return answers

    def _keep(
        self,
        trained: ArrayRecord,
        constants: Mapping[str, NDArray[Any]],
        own: Mapping[str, object],
        keeper: CheckpointKeeper,
        server_round: int,
        metrics: Mapping[str, float],
    ) -> None:
        folder = models_folder()
        if folder is None:
            logger.info("ONEFLOWER_MODELS is not set: the final model is not kept")
            return
        arrays = {**{name: array.numpy() for name, array in trained.items()}, **constants}
        file = f"{self._run_id}.npz"
        try:
            write_model(arrays, folder / file)
        except ModelFileError as error:
            if keeper.saved_round < server_round:
                raise
            logger.error("%s. The checkpoint of round %d holds the model", error, server_round)
            self._events.model_failed(server_round=server_round, error=str(error))
            return
        details = model_details(
            strategy=self._strategy,
            app=self._identity.app,
            framework=self._identity.framework,
            num_rounds=self.settings.num_rounds,
            history=keeper.history,
            best=keeper.best,
            node_examples=keeper.nodes.examples,
            versions={**server_versions(), **keeper.nodes.versions},
            arrays={name: {"shape": list(array.shape), "type": str(array.dtype)} for name, array in arrays.items()},
            privacy=privacy_facts(self.settings),
            own=own,
        )
        write_details(details, folder / f"{self._run_id}.json")
        self._events.model_written(file=file, server_round=server_round, metrics=metrics)
