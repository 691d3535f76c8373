"""The arrays that a federation begins with, where its nodes propose them: no single node is trusted with it."""

import hashlib
from collections.abc import Mapping, Sequence

from flwr.app import ArrayRecord, RecordDict

from oneflower.errors import TrainingFailedError
from oneflower.log import logger
from oneflower.replies import UnsoundReplyError, is_finite, read_array
from oneflower.text import few_of, quoted

MOST_NAMED = 10


def shared_start(answers: Mapping[int, RecordDict]) -> ArrayRecord:
    """The arrays that most nodes propose; where as many propose others, those of the lowest node id among them.

    Equal are proposals with the same names in the same order, types, shapes and bytes. One warning names the nodes
    that differ.

    :param answers: by node, with the proposal under ``arrays``.
    :raises TrainingFailedError: no node proposes arrays of finite numbers; it says why of each.
    """
    groups: dict[str, list[int]] = {}
    records: dict[int, ArrayRecord] = {}
    useless: list[str] = []
    for node, answer in sorted(answers.items()):
        try:
            records[node] = _proposal(answer)
            groups.setdefault(_digest(records[node]), []).append(node)
        except UnsoundReplyError as error:
            useless.append(f"node {node}: {error}")
    if not groups:
        raise TrainingFailedError(f"No node proposes arrays to begin with: {few_of(useless, MOST_NAMED, '; ')}")
    # The first of the largest: groups stand in the order of their lowest node.
    chosen = max(groups.values(), key=len)
    others = [f"node {node}: other arrays" for nodes in groups.values() if nodes is not chosen for node in nodes]
    if useless or others:
        logger.warning(
            "Training begins with the arrays that %d of %d nodes propose, node %d the first of them. Not so %s",
            *(len(chosen), len(answers), chosen[0], _named([*useless, *others])),
        )
    return records[chosen[0]]


def _proposal(answer: RecordDict) -> ArrayRecord:
    record = answer.get("arrays")
    if not isinstance(record, ArrayRecord) or not record:
        raise UnsoundReplyError("it sent no arrays")
    return record


def _digest(record: ArrayRecord) -> str:
    digest = hashlib.sha256()
    for name, array in record.items():
        values = read_array(name, array)
        if values.dtype.kind not in "biufc" or not is_finite(values):
            raise UnsoundReplyError(f"array {quoted(name)} holds what is no finite number")
        digest.update(f"{name!r} {values.dtype.str} {values.shape} ".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _named(nodes: Sequence[str]) -> str:
    return few_of(nodes, MOST_NAMED, "; ")
