"""Nodes that mean harm: some train on false labels, others send noise."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from flwr.app import Array, ArrayRecord, Error, Message
from numpy.typing import NDArray

from oneflower.bundled_images import read_digits
from oneflower.images import Images
from oneflower.local_grid import Tamper
from oneflower.partition import Partition, Split

# Noise is so many times as long as the honest update that it stands for.
NOISE_SCALE = 100.0
# Of an error reply; any that Flower knows will do.
_WITHHELD = 2


@contextmanager
def flipped_folders(split: Split, nodes: int, attackers: int) -> Iterator[list[Path]]:
    """A data folder for each node: the last ``attackers`` hold their digits under false labels, 9 in place of 0.

    The folders of the others are empty, so that they take their part of the digits.
    """
    digits = read_digits()
    with TemporaryDirectory(prefix="oneflower-study-") as name:
        folders = [Path(name) / str(place) for place in range(nodes)]
        for place, folder in enumerate(folders):
            folder.mkdir()
            if place >= nodes - attackers:
                _write_flipped(digits.take(split.rows_of(Partition(place, nodes), digits.labels)), folder)
        yield folders


def _write_flipped(images: Images, folder: Path) -> None:
    pixels = images.pixels.reshape(images.pixels.shape[:3])
    _write_idx(folder / "train-images-idx3-ubyte", pixels)
    _write_idx(folder / "train-labels-idx1-ubyte", (9 - images.labels).astype(np.uint8))


def _write_idx(file: Path, values: NDArray[np.uint8]) -> None:
    header = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    file.write_bytes(header + values.tobytes())


def withheld_evaluation(nodes: int, attackers: int) -> Tamper:
    """The last nodes do not evaluate: what false labels say of a model is no measure of it."""

    def tamper(place: int, question: Message, reply: Message) -> Message:
        if place < nodes - attackers or question.metadata.message_type != "evaluate":
            return reply
        return Message(Error(_WITHHELD, "An attacker does not evaluate"), reply_to=question)

    return tamper


def noise(nodes: int, attackers: int, seed: int) -> Tamper:
    """The last nodes send noise that is NOISE_SCALE times as long as their update was, and do not evaluate."""
    generator = np.random.default_rng(seed)
    withheld = withheld_evaluation(nodes, attackers)

    def tamper(place: int, question: Message, reply: Message) -> Message:
        if place < nodes - attackers or question.metadata.message_type != "train" or reply.has_error():
            return withheld(place, question, reply)
        sent, trained = (next(iter(message.content.array_records.values())) for message in (question, reply))
        key = next(iter(reply.content.array_records))
        reply.content[key] = ArrayRecord(
            {name: Array(_noisy(sent[name].numpy(), array.numpy(), generator)) for name, array in trained.items()}
        )
        return reply

    return tamper


def _noisy(
    sent: NDArray[np.float32], trained: NDArray[np.float32], generator: np.random.Generator
) -> NDArray[np.float32]:
    deviation = NOISE_SCALE * float(np.sqrt(np.mean(np.square(trained - sent))))
    return (sent + generator.normal(0, deviation, sent.shape)).astype(np.float32)
