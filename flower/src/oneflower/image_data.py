"""The images that a ClientApp trains and evaluates on.

The node's own folder (environment variable ONEFLOWER_DATA) comes first and is used whole: what a node holds is
already its part. Without images of its own a node takes its part of bundled ones.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from flwr.app import Context

from oneflower.bundled_images import read_digits
from oneflower.events import Events
from oneflower.images import Images, hold_out
from oneflower.loading import load_and_tell
from oneflower.partition import Partition, Split

Dataset = Literal["auto", "digits", "mnist"]


@dataclass(frozen=True)
class ImageRequest:
    """Which images a run is about. ``large`` prefers MNIST to the digits where ``dataset`` leaves the choice."""

    dataset: Dataset
    large: bool
    split: Split


@dataclass(frozen=True)
class NodeImages:
    """A node's images; ``partition`` is None for those of the node's own."""

    source: Literal["folder", "bundled"]
    name: str
    train: Images
    held_out: Images
    partition: int | None

    @property
    def rows(self) -> int:
        """All images, those held out too."""
        return len(self.train) + self.held_out_rows

    @property
    def held_out_rows(self) -> int:
        """Images that are never trained on."""
        return len(self.held_out)


def read_node_images(node_config: Mapping[str, object], request: ImageRequest) -> NodeImages:
    """Images of the node's part of the bundled ones.

    :raises DataRefusedError: what is there cannot be used, or the node has no partition.
    """
    partition = Partition.of_node(node_config, "put images into the data folder")
    digits = read_digits()
    mine = digits.take(request.split.rows_of(partition, digits.labels))
    return NodeImages("bundled", "digits", *hold_out(mine), partition=partition.place)


def load_node_images(
    context: Context, request: ImageRequest, environment: Mapping[str, str] | None = None
) -> NodeImages:
    """The images of the node that a message's context belongs to; says so in an event, once a run.

    :raises DataRefusedError: as read_node_images; the problems have been sent as events.
    """
    given = os.environ if environment is None else environment
    return load_and_tell(
        context, Events.of_run(context.run_id, given), lambda: read_node_images(context.node_config, request)
    )
