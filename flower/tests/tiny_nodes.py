"""Nodes of a few lines, in this process, whose model is an array ``w`` of three numbers and a counter ``n``."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from oneflower.local_grid import LocalGrid, LocalNode

Content = Mapping[str, Any]
Train = Callable[[Mapping[str, NDArray[Any]]], RecordDict]

FIRST = 11


def start() -> ArrayRecord:
    return ArrayRecord({"w": Array(np.zeros(3, dtype=np.float32)), "n": Array(np.array(0))})


def content(arrays: Mapping[str, NDArray[Any]], **metrics: Any) -> RecordDict:  # noqa: ANN401
    stated = {"num-examples": 1, **{name.replace("_", "-"): value for name, value in metrics.items()}}
    record = ArrayRecord({name: Array(np.asarray(array)) for name, array in arrays.items()})
    return RecordDict({"arrays": record, "metrics": MetricRecord(stated)})


def moving(step: float, **metrics: Any) -> Train:  # noqa: ANN401
    """Adds a step to each weight and counts."""
    return lambda arrays: content({"w": arrays["w"] + np.float32(step), "n": arrays["n"] + 1}, **metrics)


def raising(arrays: Mapping[str, NDArray[Any]]) -> RecordDict:
    raise ValueError("a bad day")


def client(train: Train) -> ClientApp:
    app = ClientApp()

    @app.train()
    def answer(message: Message, context: Context) -> Message:
        arrays = message.content["arrays"]
        assert isinstance(arrays, ArrayRecord)
        return Message(train({name: array.numpy() for name, array in arrays.items()}), reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        return Message(RecordDict({"metrics": MetricRecord({"num-examples": 1})}), reply_to=message)

    return app


class TinyGrid(LocalGrid):
    """``silent`` holds, for each exchange to train in turn, the places of the nodes that keep silent."""

    def __init__(self, trains: Iterable[Train], silent: Iterable[set[int]] = ()) -> None:
        self.exchanges = 0
        self.timeouts: list[float | None] = []
        self._silent = list(silent)
        nodes = {FIRST + place: LocalNode(client(train), context(), {}) for place, train in enumerate(trains)}
        for node, local in nodes.items():
            local.context.node_id = node
        super().__init__(1, nodes)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        asked = list(messages)
        replies = list(super().send_and_receive(asked))
        if not asked or asked[0].metadata.message_type != "train":
            return replies
        quiet = self._silent[self.exchanges] if self.exchanges < len(self._silent) else set[int]()
        self.exchanges += 1
        self.timeouts.append(timeout)
        return [reply for reply in replies if reply.metadata.src_node_id - FIRST not in quiet]


def context(**run_config: bool | float | str) -> Context:
    config = {key.replace("_", "-"): value for key, value in run_config.items()}
    return Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config=config)
