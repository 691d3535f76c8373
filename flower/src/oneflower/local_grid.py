"""A Grid whose nodes are in this process: real messages and contexts, no network."""

import copy
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from oneflower.log import logger

# Flower's code for an exception in a ClientApp (ErrorCode.CLIENT_APP_RAISED_EXCEPTION).
CLIENT_RAISED = 2
SUPERLINK_NODE = 1
# A ServerApp that asks more often than this for nodes, with no message in between, waits for more of them.
PATIENCE = 5

# Number of a node, counted from 0, the question and its answer, to the answer that is sent: how studies make attackers.
Tamper = Callable[[int, Message, Message], Message]


class TooFewNodesError(Exception):
    """The app waits for more nodes than there are."""


@contextmanager
def identity(run_id: int, node_id: int) -> Iterator[None]:
    """What Flower sets in a process before its app may make messages."""
    names = {"_run_id": run_id, "_node_id": node_id, "_task_id": 1}
    before = {name: getattr(TaskIdentity, name) for name in names}
    try:
        for name, value in names.items():
            setattr(TaskIdentity, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(TaskIdentity, name, value)


@contextmanager
def environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Environment variables for a while; None removes one."""
    before = {name: os.environ.get(name) for name in values}
    try:
        _set_environment(values)
        yield
    finally:
        _set_environment(before)


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@dataclass
class LocalNode:
    """One node: its ClientApp, its context between messages, and variables that are its own."""

    app: ClientApp
    context: Context
    variables: Mapping[str, str | None]

    def answer(self, message: Message) -> Message:
        """The ClientApp's reply. What it raises becomes an error reply, and its state stays, as with a SuperNode."""
        question, context = copy.deepcopy(message), copy.deepcopy(self.context)
        try:
            with identity(context.run_id, context.node_id), environment(self.variables):
                reply = self.app(question, context)
        except Exception as error:
            logger.warning("Node %d: %s", context.node_id, error, exc_info=error)
            return Message(Error(code=CLIENT_RAISED, reason=f"{type(error)}:<'{error}'>"), reply_to=message)
        self.context.state = context.state
        return copy.deepcopy(reply)


class LocalGrid(Grid):
    """Hands messages to the nodes one after the other, in the order of their ids, so that a run can be repeated."""

    def __init__(self, run_id: int, nodes: Mapping[int, LocalNode], tamper: Tamper | None = None) -> None:
        self._run = Run.create_empty(run_id)
        self._nodes = nodes
        self._tamper = tamper
        self._looks = 0
        self._sent = 0
        self._replies: dict[str, Message] = {}

    def set_run(self, run: Run) -> None:
        self._run = run

    @property
    def run(self) -> Run:
        return self._run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """All nodes.

        :raises TooFewNodesError: the app goes on asking.
        """
        self._looks += 1
        if self._looks > PATIENCE:
            raise TooFewNodesError(f"The app waits for more than the {len(self._nodes)} nodes that there are")
        return list(self._nodes)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        self._looks = 0
        identifiers: list[str] = []
        for message in sorted(messages, key=lambda message: message.metadata.dst_node_id):
            self._sent += 1
            # Flower's grids set it in the same way once the SuperLink has given it.
            message.metadata.__dict__["_message_id"] = str(self._sent)
            self._replies[str(self._sent)] = self._deliver(message)
            identifiers.append(str(self._sent))
        return identifiers

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return [self._replies.pop(identifier) for identifier in message_ids if identifier in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:  # noqa: ARG002
        return self.pull_messages(self.push_messages(messages))

    def _deliver(self, message: Message) -> Message:
        node = self._nodes[message.metadata.dst_node_id]
        reply = node.answer(message)
        if self._tamper is None:
            return reply
        return self._tamper(list(self._nodes).index(message.metadata.dst_node_id), message, reply)
