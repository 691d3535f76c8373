"""A federation in this process: a grid, and nodes that train, fail or keep silent."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run

Answer = Callable[[Message], Message | None]
BIG_NODE = 2**63 + 5


class GridOfTests(Grid):
    """What Flower's strategies ask of a grid, and no more."""

    def set_run(self, run: Run) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Run:
        raise NotImplementedError

    def create_message(self, *arguments: object, **named: object) -> Message:
        raise NotImplementedError

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise NotImplementedError


class MemoryGrid(GridOfTests):
    """A grid whose nodes answer in this process; None is a node that keeps silent."""

    def __init__(self, nodes: Mapping[int, Answer]) -> None:
        self._nodes = nodes
        self.online = [list(nodes)]

    def get_node_ids(self) -> Iterable[int]:
        return self.online.pop(0) if len(self.online) > 1 else self.online[0]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        answers = [self._nodes[message.metadata.dst_node_id](message) for message in messages]
        return [answer for answer in answers if answer is not None]


def node(step: float, roc_auc: float = 0.5, examples: int = 10) -> Answer:
    """A node that adds ``step`` to the arrays."""

    def answer(message: Message) -> Message:
        metrics = MetricRecord({"num-examples": examples, "roc_auc": roc_auc})
        if message.metadata.message_type != "train":
            return Message(RecordDict({"metrics": metrics}), reply_to=message)
        arrays = message.content["arrays"]
        assert isinstance(arrays, ArrayRecord)
        moved = ArrayRecord({name: Array(array.numpy() + np.float32(step)) for name, array in arrays.items()})
        return Message(RecordDict({"arrays": moved, "metrics": metrics}), reply_to=message)

    return answer


def failing(message: Message) -> Message:
    reason = "<class 'oneflower.rows.DataRefusedError'>:<'rows.csv, line 2: bad'>"
    return Message(Error(code=2, reason=reason), reply_to=message)


def forging(message: Message) -> Message:
    return Message(Error(code=2, reason="bad\n\x1b[2JINFO : Round 9 completed"), reply_to=message)


def silent(message: Message) -> None:
    return None


def failing_in(kind: str, otherwise: Answer) -> Answer:
    return lambda message: failing(message) if message.metadata.message_type == kind else otherwise(message)


def lost(message: Message) -> Message:
    """What the SuperLink answers in the place of a node that is gone, under its own id."""
    message.metadata.__dict__["_message_id"] = f"to {message.metadata.dst_node_id}"
    reply = Message(Error(code=5, reason="gone"), reply_to=message)
    reply.metadata.__dict__["_src_node_id"] = 1
    return reply


def context_of(**run_config: bool | float | str) -> Context:
    config = {key.replace("_", "-"): value for key, value in run_config.items()}
    return Context(run_id=2**63 + 1, node_id=0, node_config={}, state=RecordDict(), run_config=config)


def initial() -> ArrayRecord:
    return ArrayRecord({f"layer.{number}": Array(np.zeros(2, dtype=np.float32)) for number in range(12)})


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]
