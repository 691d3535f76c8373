import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from oneflower.bundled_images import BUNDLED_VARIABLE, read_digits
from oneflower.data import DATA_VARIABLE
from oneflower.idx import read_idx, read_idx_folder
from oneflower.image_data import ImageRequest, read_node_images
from oneflower.image_folder import read_image_folder
from oneflower.partition import Split
from oneflower.rows import DataRefusedError

Bytes = NDArray[np.uint8]
REQUEST = ImageRequest("auto", large=True, split=Split("iid", 1.0, 1))
NODE = {"partition-id": 1, "num-partitions": 3}


def idx(array: Bytes) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes()


def write_pair(folder: Path, part: str, count: int, side: int = 4, ending: str = "") -> tuple[Bytes, Bytes]:
    generator = np.random.default_rng(count)
    images = generator.integers(0, 256, (count, side, side), dtype=np.uint8)
    labels = (np.arange(count) % 10).astype(np.uint8)
    for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
        content = idx(array)
        (folder / (name + ending)).write_bytes(gzip.compress(content) if ending else content)
    return images, labels


def refusal(folder: Path) -> str:
    with pytest.raises(DataRefusedError) as caught:
        read_image_folder(folder)
    (problem,) = caught.value.problems
    return str(problem)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files_are_read_and_used_whole(tmp_path: Path, ending: str) -> None:
    images, labels = write_pair(tmp_path, "train", 80, ending=ending)
    mine = read_node_images(NODE, REQUEST, {DATA_VARIABLE: str(tmp_path)})
    assert (mine.source, mine.partition, mine.rows) == ("folder", None, 80)
    # Two of each label's eight are held out, none is trained on.
    assert np.bincount(mine.held_out.labels).tolist() == [2] * 10
    kept = np.concatenate([mine.train.pixels, mine.held_out.pixels])[..., 0]
    assert {image.tobytes() for image in kept} == {image.tobytes() for image in images}
    assert mine.train.classes == tuple("0123456789")
    assert labels[0] == mine.train.labels[0]


def test_files_of_a_test_set_are_what_is_held_out(tmp_path: Path) -> None:
    write_pair(tmp_path, "train", 40)
    tests, _ = write_pair(tmp_path, "t10k", 12)
    mine = read_node_images({}, REQUEST, {DATA_VARIABLE: str(tmp_path)})
    assert len(mine.train) == 40
    np.testing.assert_array_equal(mine.held_out.pixels[..., 0], tests)


def test_more_than_ten_labels_and_names_for_them(tmp_path: Path) -> None:
    images, _ = write_pair(tmp_path, "train", 20)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(20, dtype=np.uint8)))
    train, test = read_idx_folder(tmp_path)
    assert (train.classes[-1], len(train.classes), test) == ("19", 20, None)
    with pytest.raises(DataRefusedError, match="train-labels: label 2 of image 2 is not one of 0 to 1"):
        read_idx_folder(tmp_path, ("a", "b"))
    assert len(images) == 20


def test_what_is_missing_beside_a_file_is_named(tmp_path: Path) -> None:
    write_pair(tmp_path, "train", 20)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    assert refusal(tmp_path) == ("train-images-idx3-ubyte: has no labels beside it: train-labels-idx1-ubyte is wanted")
    for file in tmp_path.iterdir():
        file.unlink()
    write_pair(tmp_path, "t10k", 20)
    assert refusal(tmp_path).endswith("holds no files train-images-idx3-ubyte and train-labels-idx1-ubyte")


def test_images_and_labels_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, "train", 20)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(19, dtype=np.uint8)))
    assert refusal(tmp_path) == "train-labels: 19 labels for 20 images"
    write_pair(tmp_path, "train", 20)
    write_pair(tmp_path, "t10k", 20, side=5)
    assert refusal(tmp_path) == "t10k-images: images of (5, 5) pixels, those to train on have (4, 4)"


GOOD = idx(np.zeros((20, 4, 4), dtype=np.uint8))
HUGE = bytes((0, 0, 8, 3)) + b"\xff" * 12


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "begins with nothing, not as IDX of unsigned bytes in 3 dimensions"),
        (b"\x00\x00\x08\x01" + GOOD[4:], "begins with 00 00 08 01, not as IDX of unsigned bytes in 3 dimensions"),
        (b"\x00\x00\x0d\x03" + GOOD[4:], "begins with 00 00 0d 03"),
        (GOOD[:9], "ends in its header, at byte 9"),
        (GOOD[:-1], "ends at byte 335, its header states 336"),
        (GOOD + b"!", "goes on after byte 336, where its header says that it ends"),
        (HUGE, "states sizes of [4294967295, 4294967295, 4294967295] bytes"),
        (bytes((0, 0, 8, 3)) + bytes(12), "states sizes of [0, 0, 0] bytes"),
        (b"P5 4 4 255 " + bytes(16), "begins with 50 35 20 34"),
    ],
)
def test_damaged_files_are_refused_with_name_and_byte(tmp_path: Path, content: bytes, problem: str) -> None:
    write_pair(tmp_path, "train", 20)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    assert refusal(tmp_path).startswith(f"train-images-idx3-ubyte: {problem}")


def test_damaged_compression_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, "train", 20, ending=".gz")
    file = tmp_path / "train-images-idx3-ubyte.gz"
    whole = file.read_bytes()
    for content in (GOOD, whole[:-20], whole[:40] + b"\xff" * 20 + whole[60:], b""):
        file.write_bytes(content)
        assert refusal(tmp_path).startswith("train-images-idx3-ubyte.gz: ")


def test_a_compressed_file_that_goes_on_for_ever_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "bomb.gz"
    file.write_bytes(gzip.compress(idx(np.zeros((2, 2, 2), dtype=np.uint8)) + bytes(10**8)))
    with pytest.raises(DataRefusedError, match="goes on after byte 24"):
        read_idx(file, 3)


def test_a_link_to_nothing_is_an_error_and_not_an_absent_file(tmp_path: Path) -> None:
    write_pair(tmp_path, "train", 20)
    (tmp_path / "train-images-idx3-ubyte").unlink()
    (tmp_path / "train-images-idx3-ubyte").symlink_to(tmp_path / "absent")
    assert refusal(tmp_path) == "train-images-idx3-ubyte: cannot be read: it is no file, or a link to none"


@given(st.binary(max_size=100), st.sampled_from(["file", "file.gz"]))
def test_no_content_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str) -> None:
    file = tmp_path_factory.mktemp("data") / name
    file.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    dimensions = 1
    problems = 1
    try:
        dimensions = read_idx(file, 1).ndim
    except DataRefusedError as refused:
        problems = len(refused.problems)
    assert (dimensions, problems) == (1, 1)


def test_bundled_mnist_is_split_among_the_nodes(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    write_pair(tmp_path / "mnist", "train", 300)
    write_pair(tmp_path / "mnist", "t10k", 90)
    environment = {BUNDLED_VARIABLE: str(tmp_path)}
    shards = [
        read_node_images({"partition-id": place, "num-partitions": 3}, REQUEST, environment) for place in range(3)
    ]
    assert [(shard.name, len(shard.train), len(shard.held_out), shard.partition) for shard in shards] == [
        ("mnist", 100, 30, place) for place in range(3)
    ]
    assert len({image.tobytes() for shard in shards for image in shard.train.pixels}) == 300
    few = ImageRequest("mnist", large=False, split=REQUEST.split, most=40)
    limited = read_node_images(NODE, few, environment)
    assert (len(limited.train), len(limited.held_out)) == (40, 10)


def test_small_models_and_environments_without_mnist_have_the_digits(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    write_pair(tmp_path / "mnist", "train", 300)
    write_pair(tmp_path / "mnist", "t10k", 90)
    small = ImageRequest("auto", large=False, split=REQUEST.split)
    for request, environment in ((REQUEST, {}), (small, {BUNDLED_VARIABLE: str(tmp_path)})):
        mine = read_node_images(NODE, request, environment)
        assert (mine.name, mine.rows) == ("digits", len(read_digits()) // 3)


def test_mnist_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    asked = ImageRequest("mnist", large=True, split=REQUEST.split)
    with pytest.raises(DataRefusedError, match="ONEFLOWER_BUNDLED names no folder"):
        read_node_images(NODE, asked, {})
    (tmp_path / "mnist").mkdir()
    write_pair(tmp_path / "mnist", "train", 300)
    with pytest.raises(DataRefusedError, match="lacks MNIST's files"):
        read_node_images(NODE, asked, {BUNDLED_VARIABLE: str(tmp_path)})
