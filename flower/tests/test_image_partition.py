import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneflower.bundled_images import read_digits
from oneflower.partition import MIN_ROWS, Partition, Partitioning, Split
from oneflower.rows import DataRefusedError

LABELS = read_digits().labels


@given(
    st.sampled_from(["iid", "dirichlet"]),
    st.sampled_from([1e-3, 0.1, 1.0, 100.0]),
    st.integers(1, 8),
    st.integers(0, 2**31 - 1),
)
def test_every_row_belongs_to_one_partition_and_none_goes_without(
    partitioning: Partitioning, alpha: float, parts: int, seed: int
) -> None:
    split = Split(partitioning, alpha, seed)
    rows = [split.rows_of(Partition(place, parts), LABELS) for place in range(parts)]
    assert min(len(part) for part in rows) >= MIN_ROWS
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(len(LABELS)))


def test_as_many_partitions_as_there_can_be_are_filled() -> None:
    split = Split("dirichlet", 0.01, 1)
    assert min(len(split.rows_of(Partition(place, 224), LABELS)) for place in range(0, 224, 16)) == MIN_ROWS


def test_a_split_is_frozen() -> None:
    """The same on every release of NumPy, as nodes may differ in theirs."""
    rows = Split("dirichlet", 0.5, 1).rows_of(Partition(0, 3), LABELS)
    assert (len(rows), rows[:8].tolist()) == (551, [0, 4, 10, 16, 22, 24, 26, 30])
    rows = Split("iid", 0.5, 1).rows_of(Partition(0, 3), LABELS)
    assert (len(rows), rows[:8].tolist()) == (599, [0, 7, 8, 12, 13, 14, 15, 17])


def skew(alpha: float) -> float:
    """How much of a partition its most frequent label takes, on average."""
    split = Split("dirichlet", alpha, 3)
    parts = [LABELS[split.rows_of(Partition(place, 5), LABELS)] for place in range(5)]
    return float(np.mean([np.bincount(part).max() / len(part) for part in parts]))


def test_a_smaller_alpha_makes_labels_differ_more() -> None:
    assert skew(0.05) > skew(0.5) > skew(50) < 0.2


def test_labels_of_another_file_are_shared_out_alike() -> None:
    split = Split("dirichlet", 0.3, 5)
    many, few = np.repeat(np.arange(10), 600), np.repeat(np.arange(10), 100)
    for place in range(4):
        mine = np.bincount(many[split.rows_of(Partition(place, 4), many)], minlength=10) / 6
        others = np.bincount(few[split.rows_of(Partition(place, 4), few)], minlength=10)
        np.testing.assert_allclose(mine, others, atol=2)


def test_too_many_partitions_are_refused() -> None:
    with pytest.raises(DataRefusedError, match="num-partitions is 300: 1797 rows are enough for 224"):
        Split("iid", 1, 1).rows_of(Partition(0, 300), LABELS)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "partition-id is not given: bring rows or give a partition"),
        ({"partition-id": 0}, "num-partitions is not given"),
        ({"partition-id": "0", "num-partitions": 2}, "partition-id is '0', not a whole number"),
        ({"partition-id": True, "num-partitions": 2}, "partition-id is True"),
        ({"partition-id": 2, "num-partitions": 2}, "partition-id 2 of num-partitions 2"),
        ({"partition-id": -1, "num-partitions": 2}, "partition-id -1"),
        ({"partition-id": 0, "num-partitions": 0}, "num-partitions 0"),
    ],
)
def test_a_node_without_a_partition_is_told(config: dict[str, object], words: str) -> None:
    with pytest.raises(DataRefusedError, match=words):
        Partition.of_node(config, "bring rows")
