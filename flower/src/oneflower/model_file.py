"""Model files: named arrays in NumPy's .npz form, written whole or not at all.

Arrays keep name, order, shape and type; Python objects (pickle) are refused. The same arrays give the same bytes,
so that a model can be told by its hash. Any ``numpy.load(file, allow_pickle=False)`` reads the file.
"""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from oneflower.files import replace_by

MODELS_VARIABLE = "ONEFLOWER_MODELS"
# The earliest date that a zip entry can bear; the real one would make equal models differ.
_FIXED_DATE = (1980, 1, 1, 0, 0, 0)

Arrays = Mapping[str, NDArray[Any]]


class ModelFileError(Exception):
    """Arrays cannot be kept in a model file, or the file cannot be written."""


def models_folder(environment: Mapping[str, str] | None = None) -> Path | None:
    """The folder that the environment names for final models, or None."""
    value = (os.environ if environment is None else environment).get(MODELS_VARIABLE, "")
    return Path(value) if value else None


def write_model(arrays: Arrays, file: Path) -> None:
    """Write arrays to ``file`` through a temporary file beside it.

    :raises ModelFileError: an array holds objects, a name cannot stand in the file, or the disk refuses.
    """
    for name, array in arrays.items():
        # A name that ends in .npy could not be told from the entry of the same name without it.
        if not name or "\0" in name or name.endswith(".npy"):
            raise ModelFileError(f"An array is named {name!r}, which cannot stand in a model file")
        if array.dtype.hasobject:
            raise ModelFileError(f"Array {name!r} holds Python objects, which a model file does not keep")
    try:
        replace_by(file, lambda handle: _write_zip(handle, arrays), 0o640)
    except OSError as error:
        raise ModelFileError(f"Model file {file} could not be written: {error}") from error


def _write_zip(handle: IO[bytes], arrays: Arrays) -> None:
    with zipfile.ZipFile(handle, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", _FIXED_DATE)
            with archive.open(entry, "w", force_zip64=True) as target:
                npy.write_array(target, np.asanyarray(array), allow_pickle=False)


def read_model(file: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a model file, in their order.

    :raises ModelFileError: the file is missing or is not a model file.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise ModelFileError(f"Model file {file} could not be read: {error}") from error
