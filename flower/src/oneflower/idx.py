"""IDX files, as MNIST and its kin come: a big-endian header, then bytes.

Header: two zero bytes, the type (8: unsigned bytes), the number of dimensions, then each size in four bytes.
"""

import gzip
import zlib
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from oneflower.images import MAX_PIXEL_BYTES, Images
from oneflower.rows import DataRefusedError, Problem

_UNSIGNED_BYTES = 8
# Labels of ten classes are meant even where a node lacks the last of them.
_LEAST_CLASSES = 10
_SUFFIXES = ("", ".gz")
_FORMS = ("{part}-{kind}-idx{dimensions}-ubyte", "{part}-{kind}.idx{dimensions}-ubyte")
_DIMENSIONS = {"images": 3, "labels": 1}


def read_idx(file: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array of an IDX file of unsigned bytes; ``.gz`` at the end of the name means that it is compressed.

    :raises DataRefusedError: it is damaged, or is no such file; it says at which byte.
    """
    if not file.is_file():
        raise _refused(file.name, "cannot be read: it is no file, or a link to none")
    try:
        with _opened(file) as handle:
            return _read(handle, file.name, dimensions)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise _refused(file.name, f"cannot be read: {reason}") from error


def holds_idx(folder: Path) -> bool:
    """Whether the folder holds any IDX file of images or labels, even one that lacks its other half."""
    return any(_find(folder, part, kind) for part in ("train", "t10k") for kind in _DIMENSIONS)


def read_idx_folder(folder: Path, classes: tuple[str, ...] = ()) -> tuple[Images, Images | None]:
    """Images of the files ``train-...`` and, if they are there, of ``t10k-...``, which are held out.

    :param classes: names of the labels from 0; without them labels are named by their numbers.
    :raises DataRefusedError: a file is missing or damaged, or images and labels do not belong together.
    """
    train = _read_pair(folder, "train")
    if train is None:
        raise _refused(str(folder), "holds no files train-images-idx3-ubyte and train-labels-idx1-ubyte")
    test = _read_pair(folder, "t10k")
    pairs = [train] if test is None else [train, test]
    names = classes or tuple(
        str(label) for label in range(max(_LEAST_CLASSES, *(_highest(pair) + 1 for pair in pairs)))
    )
    for part, pair in zip(("train", "t10k"), pairs, strict=False):
        _check_pair(part, pair, names, train[0].shape[1:])
    return _images(train, names), None if test is None else _images(test, names)


Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def _read_pair(folder: Path, part: str) -> Pair | None:
    files = {kind: _find(folder, part, kind) for kind in _DIMENSIONS}
    images, labels = files["images"], files["labels"]
    if images is None and labels is None:
        return None
    if images is None or labels is None:
        there, lacking = ("labels", "images") if images is None else ("images", "labels")
        name = cast(Path, files[there]).name
        wanted = _FORMS[0].format(part=part, kind=lacking, dimensions=_DIMENSIONS[lacking])
        raise _refused(name, f"has no {lacking} beside it: {wanted} is wanted")
    return read_idx(images, _DIMENSIONS["images"]), read_idx(labels, _DIMENSIONS["labels"])


def _check_pair(part: str, pair: Pair, classes: tuple[str, ...], shape: tuple[int, ...]) -> None:
    images, labels = pair
    if len(images) != len(labels):
        raise _refused(f"{part}-labels", f"{len(labels)} labels for {len(images)} images")
    if images.shape[1:] != shape:
        raise _refused(f"{part}-images", f"images of {images.shape[1:]} pixels, those to train on have {shape}")
    beyond = np.flatnonzero(labels >= len(classes))
    if len(beyond):
        place = int(beyond[0])
        error = f"label {labels[place]} of image {place} is not one of 0 to {len(classes) - 1}"
        raise _refused(f"{part}-labels", error)


def _highest(pair: Pair) -> int:
    return int(pair[1].max(initial=0))


def _images(pair: Pair, classes: tuple[str, ...]) -> Images:
    return Images(classes, pair[0][..., np.newaxis], pair[1].astype(np.int64))


def _find(folder: Path, part: str, kind: str) -> Path | None:
    for form in _FORMS:
        for suffix in _SUFFIXES:
            file = folder / (form.format(part=part, kind=kind, dimensions=_DIMENSIONS[kind]) + suffix)
            if file.is_symlink() or file.is_file():
                return file
    return None


def _opened(file: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(file, "rb")) if file.suffix == ".gz" else file.open("rb")


def _read(handle: IO[bytes], name: str, dimensions: int) -> NDArray[np.uint8]:
    header = handle.read(4 + 4 * dimensions)
    if header[:4] != bytes((0, 0, _UNSIGNED_BYTES, dimensions)):
        raise _refused(
            name,
            f"begins with {header[:4].hex(' ') or 'nothing'}, not as IDX of unsigned bytes in {dimensions} dimensions",
        )
    if len(header) < 4 + 4 * dimensions:
        raise _refused(name, f"ends in its header, at byte {len(header)}")
    sizes = [int.from_bytes(header[at : at + 4], "big") for at in range(4, len(header), 4)]
    wanted = int(np.prod(sizes, dtype=object))
    if not 0 < wanted <= MAX_PIXEL_BYTES:
        raise _refused(name, f"states sizes of {sizes} bytes: 1 to {MAX_PIXEL_BYTES} in all can be read")
    content = handle.read(wanted + 1)
    if len(content) < wanted:
        raise _refused(name, f"ends at byte {len(header) + len(content)}, its header states {len(header) + wanted}")
    if len(content) > wanted:
        raise _refused(name, f"goes on after byte {len(header) + wanted}, where its header says that it ends")
    return np.frombuffer(content, dtype=np.uint8).reshape(sizes)


def _refused(file: str, error: str) -> DataRefusedError:
    return DataRefusedError("The node's images cannot be used", [Problem(file, None, error)])
