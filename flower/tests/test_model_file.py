import os
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oneflower.model_file import ModelFileError, models_folder, read_model, write_model

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30).filter(
    lambda name: not name.endswith(".npy")
)
dtypes = st.one_of(hnp.floating_dtypes(), hnp.integer_dtypes(), hnp.boolean_dtypes())
arrays = hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))


@settings(max_examples=40)
@given(st.dictionaries(names, arrays, max_size=15))
def test_names_order_shapes_and_types_come_back(
    tmp_path_factory: pytest.TempPathFactory, model: dict[str, Any]
) -> None:
    file = tmp_path_factory.mktemp("model") / "m.npz"
    write_model(model, file)
    back = read_model(file)
    assert list(back) == list(model)
    for name, array in model.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array, strict=True)


def test_equal_models_are_equal_bytes(tmp_path: Path) -> None:
    model = {f"layer.{number}": np.full((2, 3), number) for number in range(12)}
    write_model(model, tmp_path / "a.npz")
    write_model(model, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    ("name", "array"),
    [("objects", np.array([{}])), ("", np.zeros(1)), ("a\0b", np.zeros(1)), ("a.npy", np.zeros(1))],
)
def test_what_a_model_file_cannot_keep_is_refused(tmp_path: Path, name: str, array: NDArray[Any]) -> None:
    with pytest.raises(ModelFileError):
        write_model({name: array}, tmp_path / "m.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "m.npz"
    write_model({"a": np.ones(3)}, file)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelFileError, match="No space left"):
        write_model({"a": np.zeros(3)}, file)
    np.testing.assert_array_equal(read_model(file)["a"], np.ones(3))
    assert list(tmp_path.iterdir()) == [file]


def test_an_absent_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="absent"):
        write_model({"a": np.ones(3)}, tmp_path / "absent" / "m.npz")


@pytest.mark.parametrize("content", [b"", b"PK", b"garbage" * 100])
def test_what_is_no_model_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "m.npz"
    file.write_bytes(content)
    with pytest.raises(ModelFileError):
        read_model(file)


def test_the_folder_comes_from_the_environment() -> None:
    assert models_folder({}) is None
    assert models_folder({"ONEFLOWER_MODELS": "/m"}) == Path("/m")
