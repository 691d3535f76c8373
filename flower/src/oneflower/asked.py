"""Which node a reply belongs to."""

from collections.abc import Iterable
from functools import cached_property

from flwr.app import Message


class Asked:
    """The questions of one exchange.

    Flower's SuperLink answers itself where a node is lost or a question has expired: such an error bears the
    SuperLink's id, and what tells the node is the question that it replies to.
    """

    def __init__(self, questions: Iterable[Message] = ()) -> None:
        # Without their arrays, which Flower lets go of as soon as they are sent; ids are set while they are.
        self._questions = [question.metadata for question in questions]

    @property
    def nodes(self) -> set[int]:
        """All nodes that were asked."""
        return {question.dst_node_id for question in self._questions}

    def node_of(self, reply: Message) -> int:
        """The node whose reply this is, or in whose place it came."""
        return self._nodes_by_id.get(reply.metadata.reply_to_message_id, reply.metadata.src_node_id)

    @cached_property
    def _nodes_by_id(self) -> dict[str, int]:
        return {question.message_id: question.dst_node_id for question in self._questions if question.message_id}
