import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, RecordDict
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conftest import ReadEvents
from oneflower.data import DATA_VARIABLE
from oneflower.image_data import ImageRequest, load_node_images, read_node_images
from oneflower.image_folder import MAX_PROBLEMS, read_image_folder
from oneflower.images import Images
from oneflower.partition import Split
from oneflower.rows import DataRefusedError

REQUEST = ImageRequest("auto", large=False, split=Split("iid", 1.0, 1))


def encoded(form: str, *, mode: str = "L", size: tuple[int, int] = (6, 4), value: int = 200) -> bytes:
    """An image of one brightness; ``size`` is width and height."""
    target = io.BytesIO()
    Image.fromarray(np.full((size[1], size[0]), value, np.uint8)).convert(mode).save(target, form)
    return target.getvalue()


PNG = encoded("PNG")


def class_folders(folder: Path, **files: int) -> Path:
    """Folders of as many images as asked for."""
    for name, count in files.items():
        (folder / name).mkdir()
        for place in range(count):
            (folder / name / f"{place:03}.png").write_bytes(encoded("PNG", value=place))
    return folder


def read(folder: Path, classes: tuple[str, ...] = (), side: int = 0) -> Images:
    found = read_image_folder(folder, classes, side)
    assert found is not None
    return found.train


def refusal(folder: Path, classes: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(DataRefusedError) as caught:
        read_image_folder(folder, classes)
    return [str(problem) for problem in caught.value.problems]


def test_folders_are_classes_and_are_used_whole(tmp_path: Path) -> None:
    class_folders(tmp_path, dog=9, cat=8)
    mine = read_node_images({"partition-id": 0, "num-partitions": 2}, REQUEST, {DATA_VARIABLE: str(tmp_path)})
    assert (mine.source, mine.partition, mine.rows) == ("folder", None, 17)
    assert (mine.train.classes, mine.train.shape) == (("cat", "dog"), (4, 6, 1))
    assert np.bincount(mine.held_out.labels).tolist() == [2, 2]
    assert mine.held_out.pixels[:, 0, 0, 0].tolist() == [3, 7, 3, 7]


@pytest.mark.parametrize(("name", "form"), [("a.png", "PNG"), ("b.JPG", "JPEG"), ("c.jpeg", "JPEG"), ("d.pgm", "PPM")])
def test_formats_are_read_alike(tmp_path: Path, name: str, form: str) -> None:
    class_folders(tmp_path, cat=0, dog=1)
    (tmp_path / "cat" / name).write_bytes(encoded(form))
    images = read(tmp_path)
    assert images.pixels.shape == (2, 4, 6, 1)
    np.testing.assert_allclose(images.pixels[0], 200, atol=2)


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA", "CMYK"])
def test_one_image_in_colour_makes_all_coloured(tmp_path: Path, mode: str) -> None:
    class_folders(tmp_path, cat=0, dog=1)
    (tmp_path / "cat" / "a.jpg").write_bytes(encoded("JPEG" if mode == "CMYK" else "PNG", mode=mode))
    images = read(tmp_path)
    assert images.shape == (4, 6, 3)
    np.testing.assert_allclose(images.pixels[0], 200, atol=3)
    assert (images.pixels[1] == 0).all()


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    class_folders(tmp_path, cat=0, dog=1)
    Image.fromarray(np.full((4, 6), 200 * 257, np.uint16)).save(tmp_path / "cat" / "a.png")
    (tmp_path / "cat" / "b.pgm").write_bytes(b"P5 6 4 65535 " + np.full(24, 100 * 257, ">u2").tobytes())
    images = read(tmp_path)
    assert images.pixels[0].max() == images.pixels[0].min() == 200
    assert images.pixels[1].max() == images.pixels[1].min() == 100


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    class_folders(tmp_path, cat=0, dog=0)
    upright = Image.fromarray(np.repeat(np.array([[0, 255]], np.uint8), 4, axis=0))
    facts = Image.Exif()
    facts[0x0112] = 6
    upright.save(tmp_path / "cat" / "a.png", exif=facts)
    assert read(tmp_path).shape == (2, 4, 1)


def test_images_of_any_size_are_brought_to_one(tmp_path: Path) -> None:
    class_folders(tmp_path, cat=2, dog=0)
    (tmp_path / "dog" / "a.png").write_bytes(encoded("PNG", size=(30, 10)))
    assert read(tmp_path, side=8).shape == (8, 8, 1)
    assert refusal(tmp_path) == [
        "dog/a.png: is 10 by 30 pixels, the first image is 4 by 6: image-size brings all to one size"
    ]


def test_what_is_stray_is_no_class_and_no_image(tmp_path: Path) -> None:
    class_folders(tmp_path, cat=4, dog=4)
    (tmp_path / "lost+found").mkdir()
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "a.png").write_bytes(PNG)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("")
    (tmp_path / "a.png").write_bytes(PNG)
    for name in (".hidden.png", "Thumbs.db"):
        (tmp_path / "cat" / name).write_text("")
    assert (read(tmp_path).classes, len(read(tmp_path))) == (("cat", "dog"), 8)


def test_without_images_there_is_no_data_of_its_own(tmp_path: Path) -> None:
    assert read_image_folder(tmp_path / "absent") is None
    assert read_image_folder(tmp_path) is None
    for name in ("lost+found", "empty", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / ".hidden" / "a.png").write_bytes(PNG)
    (tmp_path / "rows.csv").write_text("a,label\n1,0\n")
    assert read_image_folder(tmp_path) is None


def test_a_run_names_its_classes_and_a_node_may_lack_some(tmp_path: Path) -> None:
    class_folders(tmp_path, dog=2, empty=0)
    assert read(tmp_path).classes == ("dog", "empty")
    images = read(tmp_path, ("zebra", "dog", "empty"))
    assert (images.classes, images.labels.tolist()) == (("zebra", "dog", "empty"), [1, 1])
    assert refusal(tmp_path, ("zebra", "dog")) == ["empty: is not one of the run's classes: zebra, dog"]


def test_images_that_are_not_sorted_into_classes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    assert refusal(tmp_path) == [f"{tmp_path}: images lie in it without a folder named after their class"]


def test_idx_files_and_class_folders_together_are_refused(tmp_path: Path) -> None:
    class_folders(tmp_path, cat=1)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"")
    assert refusal(tmp_path)[0].endswith("holds both IDX files and folders of images: one of them is wanted")


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that says it is large and holds nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.png", b"", "is damaged, or no PNG, JPEG or PGM image"),
        ("a.png", b"not an image", "is damaged, or no PNG, JPEG or PGM image"),
        ("a.png", PNG[:-30], ""),
        ("a.jpg", encoded("JPEG")[:-200], ""),
        ("a.pgm", b"P5 9999999 9999999 255 ", "states a size beyond 80 million pixels"),
        ("a.png", png_of_size(9000, 9000), "is 9000 by 9000 pixels: 80 million in all can be read"),
        ("a.png", png_of_size(60000, 60000), "states a size beyond 80 million pixels"),
        ("a.webp", encoded("WEBP"), "is damaged, or no PNG, JPEG or PGM image"),
        ("a.png", encoded("GIF"), "is damaged, or no PNG, JPEG or PGM image"),
    ],
)
def test_hostile_and_damaged_files_are_refused_by_name(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    class_folders(tmp_path, cat=0, dog=8)
    (tmp_path / "cat" / name).write_bytes(content)
    (only,) = refusal(tmp_path)
    assert only.startswith(f"cat/{name}: {problem}")


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    class_folders(tmp_path, cat=1)
    (tmp_path / "cat" / "b.png").symlink_to(tmp_path / "absent.png")
    os.mkfifo(tmp_path / "cat" / "c.png")
    assert refusal(tmp_path) == [
        f"cat/{name}.png: cannot be read: it is no file, or a link to none" for name in ("b", "c")
    ]


def test_all_that_is_wrong_is_said_together_up_to_a_limit(tmp_path: Path) -> None:
    class_folders(tmp_path, cat=1)
    for place in range(50):
        (tmp_path / "cat" / f"bad{place:02}.png").write_bytes(b"")
    assert len(refusal(tmp_path)) == MAX_PROBLEMS


def test_too_few_images_or_classes_are_refused(tmp_path: Path) -> None:
    class_folders(tmp_path, cat=9)
    with pytest.raises(DataRefusedError, match="1 class, at least 2 are wanted"):
        read_node_images({}, REQUEST, {DATA_VARIABLE: str(tmp_path)})
    class_folders(tmp_path / "cat" / "..", dog=0)
    for file in sorted((tmp_path / "cat").iterdir())[7:]:
        file.unlink()
    with pytest.raises(DataRefusedError, match="7 images, at least 8 are wanted"):
        read_node_images({}, REQUEST, {DATA_VARIABLE: str(tmp_path)})


def test_loading_and_refusal_are_told_once_a_run(
    tmp_path: Path, journal: ReadEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    class_folders(folder, cat=8, dog=8)
    monkeypatch.setenv(DATA_VARIABLE, str(folder))
    context = Context(7, 1, {}, RecordDict(), {})
    for _ in range(2):
        load_node_images(context, REQUEST)
    (folder / "cat" / "zz.png").write_bytes(b"")
    for _ in range(2):
        with pytest.raises(DataRefusedError):
            load_node_images(context, REQUEST)
    loaded, refused = journal()
    assert loaded["data"] == {"run_id": "7", "source": "folder", "rows": 16, "held_out": 4, "partition_id": None}
    assert (refused["event"], refused["data"]["file"]) == ("data_refused", "cat/zz.png")


@given(st.binary(max_size=200), st.sampled_from([b"", PNG[:40], encoded("JPEG")[:60], b"P5 4 4 255 "]))
def test_no_content_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes, begin: bytes) -> None:
    folder = tmp_path_factory.mktemp("data")
    (folder / "cat").mkdir()
    (folder / "cat" / "a.png").write_bytes(begin + content)
    named = ["cat/a.png"]
    images: Images | None = None
    try:
        images = read(folder)
    except DataRefusedError as refused:
        named = [problem.file for problem in refused.problems]
    assert named == ["cat/a.png"]
    assert images is None or len(images) == 1
