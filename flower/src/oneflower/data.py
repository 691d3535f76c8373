"""The data that a ClientApp trains and evaluates on.

The node's own folder (environment variable ONEFLOWER_DATA) comes first and is used whole: what a node holds is
already its part. Where the folder is absent or holds no CSV or Parquet file, the bundled rows are split by the node's
``partition-id`` and ``num-partitions``.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from flwr.app import Context

from oneflower.bundled import read_partition
from oneflower.data_folder import read_folder
from oneflower.events import Events
from oneflower.loading import NodeShare, load_and_tell
from oneflower.partition import MIN_ROWS, Partition
from oneflower.rows import DataRefusedError, Problem, Rows, hold_out

DATA_VARIABLE = "ONEFLOWER_DATA"


class NodeData(NodeShare[Rows]):
    """A node's rows."""


def read_node_data(node_config: Mapping[str, object], folder: Path | None) -> NodeData:
    """Rows of the folder if it holds any CSV or Parquet file, else of the node's partition of the bundled rows.

    :raises DataRefusedError: what is there cannot be used, or the node has no partition.
    """
    own = read_folder(folder) if folder is not None else None
    if own is not None:
        if len(own) < MIN_ROWS:
            problem = Problem(str(folder), None, f"{len(own)} rows, at least {MIN_ROWS} are wanted")
            raise DataRefusedError("The node's data cannot be used", [problem])
        return NodeData("folder", *hold_out(own), partition=None)
    partition = Partition.of_node(node_config, "put CSV or Parquet files into the data folder")
    rows = read_partition(partition.place, partition.of)
    return NodeData("bundled", *hold_out(rows), partition=partition.place)


def load_node_data(
    context: Context, events: Events | None = None, environment: Mapping[str, str] | None = None
) -> NodeData:
    """The data of the node that a message's context belongs to; says so in an event, once a run.

    :raises DataRefusedError: as read_node_data; the problems have been sent as events.
    """
    folder = (os.environ if environment is None else environment).get(DATA_VARIABLE, "")
    return load_and_tell(
        context,
        events or Events.of_run(context.run_id, environment),
        lambda: read_node_data(context.node_config, Path(folder) if folder else None),
    )
