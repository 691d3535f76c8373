"""The images that come with the environment.

Digits are package data of scikit-learn (1,797 handwritten digits of 8 by 8 pixels, 0 to 16, from the UCI optical
recognition data), read as a file: scikit-learn is not imported. MNIST (70,000 of 28 by 28) lies as IDX files in the
folder that the environment variable ONEFLOWER_BUNDLED names, in ``mnist``.
"""

import gzip
import io
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import numpy as np

from oneflower.idx import holds_idx, read_idx_folder
from oneflower.images import Images
from oneflower.rows import DataRefusedError, Problem

BUNDLED_VARIABLE = "ONEFLOWER_BUNDLED"
DIGITS_FILE = "sklearn/datasets/data/digits.csv.gz"
DIGIT_CLASSES = tuple("0123456789")
_DIGITS_SIDE = 8
_DIGITS_BRIGHTEST = 16


def read_digits() -> Images:
    """All digits of scikit-learn, in the order of the file.

    :raises DataRefusedError: the environment does not carry the file.
    """
    try:
        path = Path(str(metadata.distribution("scikit-learn").locate_file(DIGITS_FILE)))
        text = gzip.decompress(path.read_bytes()).decode("ascii")
        table = np.loadtxt(io.StringIO(text), delimiter=",", dtype=np.int64)
    except (metadata.PackageNotFoundError, OSError, EOFError, ValueError) as error:
        problem = Problem(DIGITS_FILE, None, f"cannot be read: {error}")
        raise DataRefusedError("The bundled digits are missing from this environment", [problem]) from error
    pixels = (table[:, :-1] * 255 // _DIGITS_BRIGHTEST).astype(np.uint8)
    return Images(DIGIT_CLASSES, pixels.reshape(-1, _DIGITS_SIDE, _DIGITS_SIDE, 1), table[:, -1])


def mnist_folder(environment: Mapping[str, str]) -> Path | None:
    """The folder of the MNIST files, or None where there are none."""
    value = environment.get(BUNDLED_VARIABLE, "")
    folder = Path(value, "mnist")
    return folder if value and holds_idx(folder) else None


def read_mnist(folder: Path | None) -> tuple[Images, Images]:
    """MNIST's images to train on, and those to evaluate on.

    :raises DataRefusedError: a file is missing or damaged.
    """
    train, test = (None, None) if folder is None else read_idx_folder(folder, DIGIT_CLASSES)
    if train is None or test is None:
        where = f"{BUNDLED_VARIABLE} names no folder with" if folder is None else f"{folder} lacks"
        problem = Problem("mnist", None, f"{where} MNIST's files for training and test")
        raise DataRefusedError("MNIST is missing from this environment", [problem])
    return train, test
