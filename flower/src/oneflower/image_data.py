"""The images that a ClientApp trains and evaluates on.

The node's own folder (environment variable ONEFLOWER_DATA) comes first and is used whole: what a node holds is
already its part. Without images of its own a node takes its part of bundled ones.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from flwr.app import Context

from oneflower.bundled_images import mnist_folder, read_digits, read_mnist
from oneflower.data import DATA_VARIABLE
from oneflower.events import Events
from oneflower.image_folder import read_image_folder
from oneflower.images import Images, hold_out
from oneflower.loading import NodeShare, load_and_tell
from oneflower.partition import MIN_ROWS, Partition, Split
from oneflower.rows import HELD_OUT_EVERY, DataRefusedError, Problem

Dataset = Literal["auto", "digits", "mnist"]


@dataclass(frozen=True)
class ImageRequest:
    """Which images a run is about.

    Of bundled ones: ``large`` prefers MNIST to the digits where ``dataset`` leaves the choice, and ``most`` limits
    a node's images to train on (0 does not). Of a node's own: ``side`` that they are brought to (0 keeps the size),
    and ``classes`` in their order (none means those that the folder has).
    """

    dataset: Dataset
    large: bool
    split: Split
    most: int = 0
    side: int = 0
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class NodeImages(NodeShare[Images]):
    """A node's images, and the name of the dataset that they are of."""

    name: str


def read_node_images(
    node_config: Mapping[str, object], request: ImageRequest, environment: Mapping[str, str]
) -> NodeImages:
    """Images of the node's own folder if it holds any, else of the node's part of the bundled ones.

    :raises DataRefusedError: what is there cannot be used, or the node has no partition.
    """
    folder = environment.get(DATA_VARIABLE, "")
    own = _own(Path(folder), request) if folder else None
    if own is not None:
        return own
    partition = Partition.of_node(node_config, "put images into the data folder")
    mnist = mnist_folder(environment)
    if request.dataset == "mnist" or (request.dataset == "auto" and request.large and mnist is not None):
        name, (train, test) = "mnist", read_mnist(mnist)
        held_out = test.take(request.split.rows_of(partition, test.labels, least=1))
        mine = train.take(request.split.rows_of(partition, train.labels))
    else:
        name, digits = "digits", read_digits()
        mine, held_out = hold_out(digits.take(request.split.rows_of(partition, digits.labels)))
    if request.most:
        mine, held_out = _first(mine, request.most), _first(held_out, max(1, request.most // HELD_OUT_EVERY))
    return NodeImages("bundled", mine, held_out, partition=partition.place, name=name)


def _own(folder: Path, request: ImageRequest) -> NodeImages | None:
    found = read_image_folder(folder, request.classes, request.side)
    if found is None:
        return None
    images = found.train
    problem = ""
    if len(images.classes) < 2:
        problem = f"{len(images.classes)} class, at least 2 are wanted"
    elif len(images) < MIN_ROWS:
        problem = f"{len(images)} images, at least {MIN_ROWS} are wanted"
    if problem:
        raise DataRefusedError("The node's images cannot be used", [Problem(str(folder), None, problem)])
    parts = hold_out(images) if found.test is None else (images, found.test)
    return NodeImages("folder", *parts, partition=None, name="own")


def _first(images: Images, most: int) -> Images:
    return images.take(np.arange(min(most, len(images))))


def load_node_images(
    context: Context, request: ImageRequest, environment: Mapping[str, str] | None = None
) -> NodeImages:
    """The images of the node that a message's context belongs to; says so in an event, once a run.

    :raises DataRefusedError: as read_node_images; the problems have been sent as events.
    """
    given = os.environ if environment is None else environment
    return load_and_tell(
        context, Events.of_run(context.run_id, given), lambda: read_node_images(context.node_config, request, given)
    )
