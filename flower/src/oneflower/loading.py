"""What data a node has, told once a run, or why it is refused."""

from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from flwr.app import ConfigRecord, Context

from oneflower.events import Events
from oneflower.log import logger
from oneflower.rows import DataRefusedError

# Events are for people: the first few problems of a file tell what is wrong with it.
REPORTED_PROBLEMS = 5
_STATE_KEY = "oneflower.data"


Examples = TypeVar("Examples", bound=Sized)


@dataclass(frozen=True)
class NodeShare(Generic[Examples]):
    """A node's data: rows of a table, images, instructions. ``partition`` is None for data of the node's own."""

    source: Literal["folder", "bundled"]
    train: Examples
    held_out: Examples
    partition: int | None

    @property
    def rows(self) -> int:
        """All examples, those held out too."""
        return len(self.train) + self.held_out_rows

    @property
    def held_out_rows(self) -> int:
        """Examples that are never trained on."""
        return len(self.held_out)


Loaded = TypeVar("Loaded", bound=NodeShare[Any])


def load_and_tell(context: Context, events: Events, read: Callable[[], Loaded]) -> Loaded:
    """What ``read`` returns; an event says so at the first message of a run, and when the outcome changes.

    :raises DataRefusedError: as ``read``; its first problems have been sent as events.
    """
    try:
        share = read()
    except DataRefusedError as refusal:
        if _is_news(context, "refused"):
            for problem in refusal.problems[:REPORTED_PROBLEMS]:
                events.data_refused(file=problem.file, line=problem.line, error=problem.error)
        raise
    if _is_news(context, "loaded"):
        _tell(share, events)
    return share


def _is_news(context: Context, outcome: str) -> bool:
    """Whether loading ends otherwise than at this run's last message; Flower keeps the state in between."""
    last = context.state.get(_STATE_KEY)
    context.state[_STATE_KEY] = ConfigRecord({"outcome": outcome})
    return not isinstance(last, ConfigRecord) or last.get("outcome") != outcome


def _tell(share: NodeShare[Any], events: Events) -> None:
    origin = "the node's own folder, used whole" if share.source == "folder" else f"bundled partition {share.partition}"
    logger.info("Data: %d rows from %s, %d of them held out", share.rows, origin, share.held_out_rows)
    events.data_loaded(source=share.source, rows=share.rows, held_out=share.held_out_rows, partition_id=share.partition)
