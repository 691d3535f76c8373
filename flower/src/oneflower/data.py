"""The data that a ClientApp trains and evaluates on.

The node's own folder (environment variable ONEFLOWER_DATA) comes first and is used whole: what a node holds is
already its part. Where the folder is absent or holds no CSV file, the bundled rows are split by the node's
``partition-id`` and ``num-partitions``.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flwr.app import ConfigRecord, Context

from oneflower.bundled import read_partition
from oneflower.data_folder import read_folder
from oneflower.events import Events
from oneflower.log import logger
from oneflower.rows import DataRefusedError, Problem, Rows, hold_out

DATA_VARIABLE = "ONEFLOWER_DATA"
# Events are for people: the first few problems of a file tell what is wrong with it.
REPORTED_PROBLEMS = 5
# Fewer cannot be parted into rows to train on and rows held out.
MIN_ROWS = 8
_STATE_KEY = "oneflower.data"


@dataclass(frozen=True)
class NodeData:
    """A node's rows. ``partition`` is None for data of the node's own."""

    source: Literal["folder", "bundled"]
    train: Rows
    held_out: Rows
    partition: int | None

    @property
    def rows(self) -> int:
        """All rows, those held out too."""
        return len(self.train) + len(self.held_out)


def read_node_data(node_config: Mapping[str, object], folder: Path | None) -> NodeData:
    """Rows of the folder if it holds any CSV file, else of the node's partition of the bundled rows.

    :raises DataRefusedError: what is there cannot be used, or the node has no partition.
    """
    own = read_folder(folder) if folder is not None else None
    if own is not None:
        if len(own) < MIN_ROWS:
            problem = Problem(str(folder), None, f"{len(own)} rows, at least {MIN_ROWS} are wanted")
            raise DataRefusedError("The node's data cannot be used", [problem])
        return NodeData("folder", *hold_out(own), partition=None)
    partition = _whole_number(node_config, "partition-id")
    rows = read_partition(partition, _whole_number(node_config, "num-partitions"))
    return NodeData("bundled", *hold_out(rows), partition=partition)


def load_node_data(
    context: Context, events: Events | None = None, environment: Mapping[str, str] | None = None
) -> NodeData:
    """The data of the node that a message's context belongs to; says so in an event, once a run.

    :raises DataRefusedError: as read_node_data; the problems have been sent as events.
    """
    value = (os.environ if environment is None else environment).get(DATA_VARIABLE, "")
    events = events or Events.of_run(context.run_id, environment)
    try:
        data = read_node_data(context.node_config, Path(value) if value else None)
    except DataRefusedError as refusal:
        if _is_news(context, "refused"):
            for problem in refusal.problems[:REPORTED_PROBLEMS]:
                events.data_refused(file=problem.file, line=problem.line, error=problem.error)
        raise
    if _is_news(context, "loaded"):
        _tell(data, events)
    return data


def _is_news(context: Context, outcome: str) -> bool:
    """Whether loading ends otherwise than at this run's last message; Flower keeps the state in between."""
    last = context.state.get(_STATE_KEY)
    context.state[_STATE_KEY] = ConfigRecord({"outcome": outcome})
    return not isinstance(last, ConfigRecord) or last.get("outcome") != outcome


def _tell(data: NodeData, events: Events) -> None:
    origin = "the node's own folder, used whole" if data.source == "folder" else f"bundled partition {data.partition}"
    logger.info("Data: %d rows from %s, %d of them held out", data.rows, origin, len(data.held_out))
    events.data_loaded(source=data.source, rows=data.rows, held_out=len(data.held_out), partition_id=data.partition)


def _whole_number(node_config: Mapping[str, object], key: str) -> int:
    value = node_config.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    error = "is not given" if value is None else f"is {value!r}, not a whole number"
    problem = Problem("node config", None, f"{key} {error}: put CSV files into the data folder or give a partition")
    raise DataRefusedError("The node has neither data of its own nor a partition", [problem])
