"""The images that come with the environment.

Digits are package data of scikit-learn (1,797 handwritten digits of 8 by 8 pixels, 0 to 16, from the UCI optical
recognition data), read as a file: scikit-learn is not imported.
"""

import gzip
import io
from importlib import metadata
from pathlib import Path

import numpy as np

from oneflower.images import Images
from oneflower.rows import DataRefusedError, Problem

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
