"""Labelled images of one size, and how they are kept apart for training and evaluation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneflower.rows import HELD_OUT_EVERY

# Decoded images of one node lie in memory.
MAX_PIXEL_BYTES = 2**30
MAX_CLASSES = 1000

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Images:
    """Images by rows by columns by channels (1 or 3), 0 dark to 255 bright; a label is a place in ``classes``."""

    classes: tuple[str, ...]
    pixels: Pixels
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of each image."""
        _, height, width, channels = self.pixels.shape
        return height, width, channels

    def take(self, index: NDArray[np.int64]) -> "Images":
        """The images at the given places, in that order."""
        return Images(self.classes, self.pixels[index], self.labels[index])


def hold_out(images: Images) -> tuple[Images, Images]:
    """Images to train on and images to evaluate on: every fourth of each class is held out, in the order given.

    Where no class has four, every fourth of all is held out. No chance is involved, so that all messages of a run,
    each in a process of its own, see the same two parts.
    """
    held_out = np.zeros(len(images), dtype=bool)
    for label in range(len(images.classes)):
        places = np.flatnonzero(images.labels == label)
        held_out[places[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]] = True
    if not held_out.any():
        held_out[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY] = True
    return images.take(np.flatnonzero(~held_out)), images.take(np.flatnonzero(held_out))
