import io
import logging
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from numpy.typing import NDArray

from oneflower.errors import TrainingFailedError
from oneflower.start import MOST_NAMED, shared_start

ONES = np.ones((2, 2), np.float32)


def answer(**arrays: NDArray[Any]) -> RecordDict:
    return RecordDict({"arrays": ArrayRecord({name: Array(array) for name, array in arrays.items()})})


def damaged(content: bytes) -> RecordDict:
    return RecordDict({"arrays": ArrayRecord({"a": Array("float32", (2,), "numpy.ndarray", content)})})


def of_another_kind(stype: str) -> RecordDict:
    return RecordDict({"arrays": ArrayRecord({"a": Array("float32", (2,), stype, b"")})})


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([object], dtype=object), allow_pickle=True)
    return buffer.getvalue()


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("flwr"), "propagate", True)
    caplog.set_level(logging.WARNING)
    return caplog


def test_what_all_propose_is_taken_without_a_word(warnings: pytest.LogCaptureFixture) -> None:
    start = shared_start({node: answer(b=ONES, a=ONES * 2) for node in (9, 4)})
    assert list(start) == ["b", "a"]
    np.testing.assert_array_equal(start["a"].numpy(), ONES * 2)
    assert warnings.messages == []


@pytest.mark.parametrize(
    "strange",
    [
        answer(a=ONES * 1e6),
        answer(c=ONES),
        answer(a=ONES, b=ONES),
        answer(a=ONES.astype(np.float64)),
        answer(a=ONES.reshape(4)),
    ],
)
def test_what_most_propose_is_taken_and_who_differs_is_named(
    strange: RecordDict, warnings: pytest.LogCaptureFixture
) -> None:
    start = shared_start({1: strange, 2: answer(a=ONES), 3: answer(a=ONES)})
    np.testing.assert_array_equal(start["a"].numpy(), ONES)
    (message,) = warnings.messages
    assert "2 of 3 nodes propose, node 2 the first of them. Not so node 1: other arrays" in message


def test_a_tie_goes_to_the_lowest_node_of_the_largest_groups() -> None:
    values = {1: 0, 2: 5, 3: 7, 4: 7, 5: 5}
    start = shared_start({node: answer(a=ONES * value) for node, value in reversed(values.items())})
    assert start["a"].numpy()[0, 0] == 5


@pytest.mark.parametrize(
    ("useless", "reason"),
    [
        (answer(a=ONES * np.nan), "array 'a' holds what is no finite number"),
        (answer(b=ONES, a=np.array([1, -np.inf])), "array 'a' holds what is no finite number"),
        (answer(a=np.array(["text"])), "array 'a' holds what is no finite number"),
        (damaged(b"no array"), "array 'a' cannot be read"),
        (damaged(pickled()), "array 'a' cannot be read"),
        (RecordDict(), "it sent no arrays"),
        (answer(), "it sent no arrays"),
        (RecordDict({"arrays": ConfigRecord({"a": 1})}), "it sent no arrays"),
    ],
)
def test_what_is_no_start_is_never_taken(useless: RecordDict, reason: str, warnings: pytest.LogCaptureFixture) -> None:
    start = shared_start({1: useless, 2: useless, 3: answer(a=ONES)})
    np.testing.assert_array_equal(start["a"].numpy(), ONES)
    (message,) = warnings.messages
    assert f"node 1: {reason}" in message
    assert f"node 2: {reason}" in message
    with pytest.raises(TrainingFailedError, match=rf"^No node proposes arrays to begin with: node 4: {reason}"):
        shared_start({4: useless})


@pytest.mark.parametrize(
    "hostile",
    [
        answer(**{"n" * 3_000_000: ONES * np.nan}),
        of_another_kind("n" * 3_000_000),
        of_another_kind("x\nERROR :     The SuperLink is lost"),
        answer(**{"x\nERROR : ": ONES * np.nan}),
    ],
)
def test_what_a_node_writes_neither_fills_nor_forges_lines(
    hostile: RecordDict, warnings: pytest.LogCaptureFixture
) -> None:
    shared_start({1: hostile, 2: answer(a=ONES)})
    with pytest.raises(TrainingFailedError) as caught:
        shared_start({1: hostile})
    for text in (*warnings.messages, str(caught.value)):
        assert len(text) < 1000
        assert "\n" not in text


def test_a_few_of_very_many_nodes_are_named() -> None:
    with pytest.raises(TrainingFailedError, match=r"node 10: it sent no arrays and 90 more$") as caught:
        shared_start({node: RecordDict() for node in range(1, 101)})
    assert str(caught.value).count("it sent") == MOST_NAMED
