"""A node's own images: a folder for each class that holds PNG, JPEG or PGM files, or IDX files in the folder itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oneflower.idx import holds_idx, read_idx_folder
from oneflower.images import MAX_CLASSES, MAX_PIXEL_BYTES, Images, Pixels
from oneflower.rows import DataRefusedError, Problem

MAX_PROBLEMS = 20
# Larger images than any camera's are made to exhaust memory.
MAX_PIXELS = 80_000_000
_MILLIONS = MAX_PIXELS // 10**6
# Formats as Pillow names them; PPM covers PGM.
FORMATS = ("PNG", "JPEG", "PPM")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".pgm"})
_OTHER_IMAGES = frozenset({".bmp", ".gif", ".heic", ".tif", ".tiff", ".webp"})
# What file systems and operating systems put there.
_STRAY = frozenset({"lost+found", "__MACOSX", "System Volume Information"})
_GREY_MODES = frozenset({"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N"})
_SIXTEEN_BITS = 257


@dataclass(frozen=True)
class FolderImages:
    """Images of a folder. ``test`` are those that the folder itself keeps apart, if it does."""

    train: Images
    test: Images | None


def read_image_folder(folder: Path, classes: tuple[str, ...] = (), side: int = 0) -> FolderImages | None:
    """All images of a folder; None when it is absent or holds none.

    :param classes: the run's classes in their order; without them those are taken that the folder has.
    :param side: height and width that images of class folders are brought to; 0 leaves them as they are.
    :raises DataRefusedError: the folder or files in it cannot be used; up to MAX_PROBLEMS together.
    """
    try:
        folders, loose = _contents(folder)
        in_classes = [entry for entry in folders if _is_class(entry)]
        has_idx = holds_idx(folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refused(Problem(str(error.filename or folder), None, error.strerror or str(error))) from error
    in_classes = in_classes if any(next(_image_files(entry), None) for entry in in_classes) else []
    if has_idx and in_classes:
        raise _refused(Problem(str(folder), None, "holds both IDX files and folders of images: one of them is wanted"))
    if has_idx:
        return FolderImages(*read_idx_folder(folder, classes))
    if in_classes:
        return FolderImages(_Reading(classes or tuple(entry.name for entry in in_classes), side).read(in_classes), None)
    if any(entry.suffix.lower() in SUFFIXES for entry in loose):
        raise _refused(Problem(str(folder), None, "images lie in it without a folder named after their class"))
    return None


def _contents(folder: Path) -> tuple[list[Path], list[Path]]:
    """Folders and other entries, by name; what is hidden or stray is no data and changes nothing."""
    entries = sorted(entry for entry in folder.iterdir() if entry.name[0] != "." and entry.name not in _STRAY)
    return [entry for entry in entries if entry.is_dir()], [entry for entry in entries if not entry.is_dir()]


def _is_class(folder: Path) -> bool:
    """Whether a folder is one of a class: it holds images, or, as a node may lack a class, nothing at all."""
    _, files = _contents(folder)
    return any(_is_image(file) for file in files) or next(folder.iterdir(), None) is None


def _image_files(folder: Path) -> Iterator[Path]:
    return (file for file in _contents(folder)[1] if _is_image(file))


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES | _OTHER_IMAGES


class _Reading:
    """What has been read so far; problems are gathered, as people mend a folder in one go."""

    def __init__(self, classes: tuple[str, ...], side: int) -> None:
        self._classes = classes
        self._side = side
        self._pixels: list[Pixels] = []
        self._labels: list[int] = []
        self._bytes = 0
        self._problems: list[Problem] = []

    def read(self, folders: list[Path]) -> Images:
        """The images of all class folders, or the refusal of all that was wrong."""
        self._check_classes(folders)
        for folder in folders:
            for file in _image_files(folder) if folder.name in self._classes else ():
                if len(self._problems) >= MAX_PROBLEMS or self._bytes > MAX_PIXEL_BYTES:
                    break
                self._read_file(f"{folder.name}/{file.name}", file, self._classes.index(folder.name))
        if self._problems:
            more = f" (the first {MAX_PROBLEMS} problems)" if len(self._problems) >= MAX_PROBLEMS else ""
            raise DataRefusedError(f"The node's images cannot be used{more}", self._problems)
        return Images(self._classes, self._joined(), np.array(self._labels, dtype=np.int64))

    def _check_classes(self, folders: list[Path]) -> None:
        if len(folders) > MAX_CLASSES:
            raise _refused(Problem(str(folders[0].parent), None, f"{len(folders)} class folders, {MAX_CLASSES} can be"))
        for folder in folders:
            if not folder.name.isprintable():
                self._problems.append(Problem(repr(folder.name), None, "the name cannot be that of a class"))
            elif folder.name not in self._classes:
                words = f"is not one of the run's classes: {', '.join(self._classes)}"
                self._problems.append(Problem(folder.name, None, words))

    def _read_file(self, name: str, file: Path, label: int) -> None:
        try:
            pixels = _decode(file, self._side)
        except _NoImageError as error:
            self._problems.append(Problem(name, None, str(error)))
            return
        if self._pixels and pixels.shape[:2] != self._pixels[0].shape[:2]:
            sizes = [f"{height} by {width}" for height, width, _ in (pixels.shape, self._pixels[0].shape)]
            error_text = f"is {sizes[0]} pixels, the first image is {sizes[1]}: image-size brings all to one size"
            self._problems.append(Problem(name, None, error_text))
            return
        self._bytes += pixels.size
        if self._bytes > MAX_PIXEL_BYTES:
            words = f"with it the images take more than {MAX_PIXEL_BYTES >> 20} MiB: a smaller image-size helps"
            self._problems.append(Problem(name, None, words))
        self._pixels.append(pixels)
        self._labels.append(label)

    def _joined(self) -> Pixels:
        channels = max(pixels.shape[2] for pixels in self._pixels)
        height, width, _ = self._pixels[0].shape
        joined = np.empty((len(self._pixels), height, width, channels), dtype=np.uint8)
        for place, pixels in enumerate(self._pixels):
            joined[place] = pixels
        return joined


class _NoImageError(Exception):
    """A file is no image that can be read."""


def _decode(file: Path, side: int) -> Pixels:
    """An image as rows, columns and channels, turned upright."""
    from PIL import Image, ImageOps

    if not file.is_file():
        raise _NoImageError("cannot be read: it is no file, or a link to none")
    try:
        with Image.open(file, formats=FORMATS) as image:
            _check_size(image.height, image.width)
            upright = _plain(ImageOps.exif_transpose(image), Image)
            if side:
                upright = upright.resize((side, side), Image.Resampling.BILINEAR)
            pixels = np.asarray(upright)
    except _NoImageError:
        raise
    except Image.DecompressionBombError as error:
        raise _NoImageError(f"states a size beyond {_MILLIONS} million pixels") from error
    except OSError as error:
        raise _NoImageError(error.strerror or "is damaged, or no PNG, JPEG or PGM image") from error
    except Exception as error:
        # Decoders meet hostile bytes: whatever they raise means the same.
        raise _NoImageError(f"is damaged: {type(error).__name__}") from error
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def _check_size(height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise _NoImageError(f"is {height} by {width} pixels: {_MILLIONS} million in all can be read")


def _plain(image: Any, library: Any) -> Any:  # noqa: ANN401
    """An image of Pillow in eight bits, grey or red, green and blue."""
    if image.mode not in _GREY_MODES:
        return image.convert("RGB")
    if not image.mode.startswith("I"):
        return image.convert("L")
    return library.fromarray(np.clip(np.asarray(image) // _SIXTEEN_BITS, 0, 255).astype(np.uint8))


def _refused(problem: Problem) -> DataRefusedError:
    return DataRefusedError("The node's images cannot be used", [problem])
