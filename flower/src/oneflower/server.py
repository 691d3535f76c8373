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

from oneflower.errors import TrainingFailedError
from oneflower.events import Events
from oneflower.log import logger
from oneflower.model_file import models_folder, write_model
from oneflower.privacy import Privacy
from oneflower.settings import TrainingSettings
from oneflower.strategies.factory import build_strategy
from oneflower.strategy import NO_REPLY, EvaluateArrays, ReportingStrategy, error_text
from oneflower.waiting import wait_for_nodes

__all__ = ["Federation", "TrainingFailedError"]


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
    ) -> None:
        self.settings = settings
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
        sleep: Callable[[float], None] = time.sleep,
    ) -> "Federation":
        """Read the run's settings and say that training begins; ``strategy`` is the one that they name, unless given.

        :raises RunConfigError: the run configuration holds a bad value.
        """
        settings = TrainingSettings.of_run(context.run_config)
        strategy = strategy or build_strategy(context.run_config)
        events = Events.of_run(context.run_id)
        events.training_start(
            strategy=type(strategy).__name__,
            num_rounds=settings.num_rounds,
            min_clients=settings.nodes_to_begin,
        )
        return cls(grid, context, events, settings, strategy, sleep)

    def ask(self, question: RecordDict | None = None, timeout: float | None = None) -> dict[int, RecordDict]:
        """Ask every node that is online a query, once enough are. Returns the answers by node.

        :param timeout: seconds that nodes have to answer; those of a round unless given.
        :raises TrainingFailedError: fewer nodes answered than a round needs.
        """
        nodes = wait_for_nodes(self._grid, self.settings.nodes_to_begin, self._sleep)
        content = question if question is not None else RecordDict()
        queries = [Message(content, dst_node_id=node, message_type=MessageType.QUERY) for node in nodes]
        seconds = self.settings.round_timeout if timeout is None else timeout
        answers = self._sort_out(nodes, self._grid.send_and_receive(queries, timeout=seconds))
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
    ) -> Result:
        """Run all rounds and keep the final arrays as a model file.

        :param constants: arrays that belong to the model but are not trained; they go into the file as well.
        :param details: what one must know to use the model; told with the event model_written.
        :raises TrainingFailedError: no round had a result.
        :raises ModelFileError: the model could not be written.
        :raises ValueError: an array is both trained and constant.
        """
        constants = constants or {}
        twice = sorted(set(initial_arrays) & set(constants))
        if twice:
            raise ValueError(f"Arrays are both trained and constant: {', '.join(twice)}")
        privacy = Privacy.of_settings(self.settings)
        reporting = ReportingStrategy(self._strategy, self._events, sleep=self._sleep, privacy=privacy)
        result = reporting.start(
            self._grid,
            initial_arrays,
            num_rounds=self.settings.num_rounds,
            timeout=self.settings.round_timeout,
            train_config=train_config,
            evaluate_config=evaluate_config,
            evaluate_fn=evaluate_fn,
        )
        if reporting.aggregated_round == 0:
            raise TrainingFailedError("No node's training had a result in any round: see the errors above")
        self._keep(result.arrays, constants, reporting, details or {})
        self._events.training_end(
            total_rounds=reporting.rounds_done,
            seconds=time.monotonic() - self._began,
            metrics=reporting.metrics,
        )
        return result

    def _sort_out(self, nodes: list[int], replies: Iterable[Message]) -> dict[int, RecordDict]:
        errors = dict.fromkeys(nodes, NO_REPLY)
        answers: dict[int, RecordDict] = {}
        for reply in replies:
            node = reply.metadata.src_node_id
            if reply.has_error():
                errors[node] = error_text(reply)
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
        reporting: ReportingStrategy,
        details: Mapping[str, object],
    ) -> None:
        folder = models_folder()
        if folder is None:
            logger.info("ONEFLOWER_MODELS is not set: the final model is not kept")
            return
        arrays = {**{name: array.numpy() for name, array in trained.items()}, **constants}
        file = f"{self._run_id}.npz"
        write_model(arrays, folder / file)
        shapes = {name: {"shape": list(array.shape), "type": str(array.dtype)} for name, array in arrays.items()}
        self._events.model_written(
            file=file,
            server_round=reporting.aggregated_round,
            metrics=reporting.metrics,
            details={"strategy": type(self._strategy).__name__, "arrays": shapes, **details},
        )
