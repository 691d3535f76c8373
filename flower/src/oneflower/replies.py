"""Which replies of a round are sound, and what comes of them has the form of what was sent.

Flower's strategies trust their nodes: one reply with other arrays, with NaN or without its number of examples spoils
the model or ends the whole run. Here such a reply is a failure of its node, and the round goes on with the others.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg, FedXgbBagging, FedXgbCyclic, Strategy
from numpy.typing import NDArray

from oneflower.checkpoints.state import chain_of
from oneflower.log import logger
from oneflower.text import few_of, quoted

# A node, and what is wrong with its reply.
Refuse = Callable[[int, str], None]
Arrays = Mapping[str, NDArray[Any]]

EXAMPLES = "num-examples"
# Whole numbers beyond are not exact as floats; no node holds so many rows.
MOST_EXAMPLES = 2.0**53
# Bytes of the metrics of one exchange in an event, which is a line of at most 24 KiB for both of a round.
NAMES_ROOM = 8192
NUMBER_ROOM = 26


class UnsoundReplyError(Exception):
    """A reply that cannot be aggregated."""


class SentArrays:
    """Names, shapes and types of the arrays that went to the nodes, and the values, to measure updates from."""

    def __init__(self, record: ArrayRecord) -> None:
        self.values: Arrays = {name: array.numpy() for name, array in record.items()}

    def read(self, record: ArrayRecord) -> Arrays:
        """The arrays of a reply.

        :raises UnsoundReplyError: they are not like those that were sent, or hold what is no finite number.
        """
        missing = sorted(set(self.values) - set(record))
        strange = sorted(set(record) - set(self.values))
        if missing or strange:
            names = few_of(map(quoted, missing or strange))
            raise UnsoundReplyError(f"The reply {'lacks the' if missing else 'holds unknown'} arrays {names}")
        return {name: _read_like(name, record[name], sent) for name, sent in self.values.items()}

    def restore(self, aggregate: ArrayRecord) -> ArrayRecord | None:
        """An aggregate in the types that were sent, or None where it holds what is no finite number.

        Means of whole numbers have fractions, and Flower's FedAdam makes double precision of single.
        """
        restored = ArrayRecord()
        for name, array in aggregate.items():
            values = array.numpy()
            if not is_finite(values):
                logger.error("The aggregate of %s is no finite number", name)
                return None
            sent = self.values.get(name)
            restored[name] = array if sent is None or sent.dtype == values.dtype else Array(_cast(values, sent.dtype))
        return restored


def can_be_checked(strategy: Strategy) -> bool:
    """Whether replies of the strategy's nodes are like what was sent: boosted trees grow from round to round."""
    innermost = chain_of(strategy)[-1]
    return isinstance(innermost, FedAvg) and not isinstance(innermost, FedXgbBagging | FedXgbCyclic)


def sound_replies(replies: Iterable[Message], sent: SentArrays | None, refuse: Refuse) -> list[Message]:
    """Those of the replies, none of which is an error, that can be aggregated; the others are refused.

    What is returned bears its records under equal names and with equal metrics, as Flower's strategies demand it; a
    metric that a node did not state is NaN, and those that are too many to be told are left out. It comes in the order
    of the nodes' ids: sums of the same replies have the same bits, whoever answered first.

    :param sent: what the nodes were given to train; None for replies to an evaluation.
    """
    sound: list[tuple[Message, ArrayRecord | None, MetricRecord]] = []
    for reply in sorted(replies, key=lambda reply: reply.metadata.src_node_id):
        try:
            arrays = None if sent is None else _trained(reply.content, sent)
            sound.append((reply, arrays, _metrics(reply.content)))
        except UnsoundReplyError as error:
            refuse(reply.metadata.src_node_id, str(error))
    names = _told_names([metrics for _, _, metrics in sound])
    for reply, arrays, metrics in sound:
        content = RecordDict(dict(reply.content.config_records))
        content["metrics"] = MetricRecord({name: metrics.get(name, math.nan) for name in names})
        if arrays is not None:
            content["arrays"] = arrays
        reply.content = content
    return [reply for reply, _, _ in sound]


def _trained(content: RecordDict, sent: SentArrays) -> ArrayRecord:
    records = list(content.array_records.values())
    if len(records) != 1:
        raise UnsoundReplyError(f"The reply holds {len(records)} array records, one is wanted")
    sent.read(records[0])
    # Flower's Krum and Bulyan compare arrays by their place, whatever order a node has sent them in.
    return ArrayRecord({name: records[0][name] for name in sent.values})


def _metrics(content: RecordDict) -> MetricRecord:
    records = list(content.metric_records.values())
    if len(records) != 1:
        raise UnsoundReplyError(f"The reply holds {len(records)} metric records, one is wanted")
    examples = records[0].get(EXAMPLES)
    if not isinstance(examples, int | float):
        raise UnsoundReplyError(f"The reply does not say its {EXAMPLES}")
    if not 0 < examples <= MOST_EXAMPLES:
        raise UnsoundReplyError(f"The reply states {EXAMPLES}={examples}, a positive number is wanted")
    return records[0]


def _told_names(stated: list[MetricRecord]) -> list[str]:
    """The metrics' names, as many as can be told: those of most nodes come first, so that no node crowds them out."""
    counts = Counter(name for metrics in stated for name in metrics)
    kept: list[str] = []
    room = NAMES_ROOM
    for name in sorted(counts, key=lambda name: (name != EXAMPLES, -counts[name], name)):
        room -= len(json.dumps(name)) + NUMBER_ROOM
        if room < 0:
            logger.warning("%d metrics of the nodes are left out: too many to be told", len(counts) - len(kept))
            break
        kept.append(name)
    return sorted(kept)


def read_array(name: str, array: Array) -> NDArray[Any]:
    """The values of a node's array.

    :raises UnsoundReplyError: they cannot be read.
    """
    try:
        return array.numpy()
    except Exception as error:
        # NumPy's reader meets hostile bytes: whatever it raises means the same.
        raise UnsoundReplyError(f"array {quoted(name)} cannot be read: {quoted(str(error))}") from error


def _read_like(name: str, array: Array, sent: NDArray[Any]) -> NDArray[Any]:
    values = read_array(name, array)
    if values.shape != sent.shape:
        raise UnsoundReplyError(f"Array {name!r} of the reply has shape {values.shape}, {sent.shape} was sent")
    if values.dtype != sent.dtype:
        raise UnsoundReplyError(f"Array {name!r} of the reply is of type {values.dtype}, {sent.dtype} was sent")
    if not is_finite(values):
        raise UnsoundReplyError(f"Array {name!r} of the reply holds NaN or infinity")
    return values


def is_finite(values: NDArray[Any]) -> bool:
    """Whether all values are finite; those of no floating type are."""
    return values.dtype.kind not in "fc" or bool(np.isfinite(values).all())


def _cast(values: NDArray[Any], wanted: np.dtype[Any]) -> NDArray[Any]:
    whole = np.rint(values) if wanted.kind in "iu" else values
    return np.asarray(whole.astype(wanted))
