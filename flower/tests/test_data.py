from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, RecordDict
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import ReadEvents
from oneflower.bundled import MAX_PARTITIONS, assign_by_regime, read_partition, read_shuttle
from oneflower.data import load_node_data, read_node_data
from oneflower.rows import DataRefusedError, Rows, hold_out

SHUTTLE = read_shuttle()


def context_of(**node_config: bool | float | str) -> Context:
    config = {key.replace("_", "-"): value for key, value in node_config.items()}
    return Context(run_id=7, node_id=1, node_config=config, state=RecordDict(), run_config={})


def test_the_bundled_rows_are_the_shuttle_rows() -> None:
    assert SHUTTLE.columns == tuple(f"f{number}" for number in range(1, 10))
    assert SHUTTLE.features.shape == (49_097, 9)
    assert int(SHUTTLE.labels.sum()) == 3_511


@given(st.integers(1, MAX_PARTITIONS))
@settings(max_examples=25, deadline=None)
def test_partitions_share_out_all_rows_and_know_both_kinds(partitions: int) -> None:
    owners = assign_by_regime(SHUTTLE, partitions)
    assert set(owners) == set(range(partitions))
    normal, anomalies = (np.bincount(owners[label == SHUTTLE.labels], minlength=partitions) for label in (0, 1))
    for counts in (normal, anomalies):
        assert counts.max() - counts.min() <= 1
        # Three to train on and one held out, at the least.
        assert counts.min() >= 4


def test_partitions_are_disjoint_complete_and_the_same_every_time() -> None:
    parts = [read_partition(place, 3) for place in range(3)]
    owners = assign_by_regime(SHUTTLE, 3)
    for place, part in enumerate(parts):
        np.testing.assert_array_equal(part.features, SHUTTLE.features[owners == place])
        np.testing.assert_array_equal(part.labels, SHUTTLE.labels[owners == place])
    assert sum(len(part) for part in parts) == len(SHUTTLE)


def test_partitions_are_not_alike() -> None:
    medians = [np.median(read_partition(place, 3).features, axis=0) for place in range(3)]
    spread = np.percentile(SHUTTLE.features, 90, axis=0) - np.percentile(SHUTTLE.features, 10, axis=0)
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert (np.abs(medians[one] - medians[other]) / spread).max() > 0.2


@given(st.lists(st.integers(0, 1), max_size=100))
def test_held_out_rows_are_a_quarter_of_each_kind_and_never_trained_on(labels: list[int]) -> None:
    count = len(labels)
    rows = Rows(("n",), np.arange(count, dtype=np.float64).reshape(count, 1), np.array(labels, dtype=np.int64))
    train, held_out = hold_out(rows)
    together = np.concatenate([train.features[:, 0], held_out.features[:, 0]])
    assert sorted(together.tolist()) == list(range(count))
    for label in (0, 1):
        assert int((held_out.labels == label).sum()) == labels.count(label) // 4


def write_rows(folder: Path, count: int) -> None:
    lines = [f"{number},{number % 5},{int(number % 10 == 0)}" for number in range(count)]
    (folder / "rows.csv").write_text("\n".join(["a,b,label", *lines]))


def test_own_data_is_used_whole_whatever_the_partition(tmp_path: Path) -> None:
    write_rows(tmp_path, 80)
    data = read_node_data({"partition-id": 1, "num-partitions": 2}, tmp_path)
    assert (data.source, data.partition, data.rows, len(data.held_out)) == ("folder", None, 80, 20)


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    write_rows(tmp_path, 7)
    with pytest.raises(DataRefusedError, match="7 rows, at least 8"):
        read_node_data({}, tmp_path)


@pytest.mark.parametrize(
    ("node_config", "reason"),
    [
        ({}, "partition-id is not given"),
        ({"partition-id": 0}, "num-partitions is not given"),
        ({"partition-id": "0", "num-partitions": 2}, "partition-id is '0', not a whole number"),
        ({"partition-id": True, "num-partitions": 2}, "partition-id is True"),
        ({"partition-id": 2, "num-partitions": 2}, "partition-id 2 of num-partitions 2"),
        ({"partition-id": -1, "num-partitions": 2}, "partition-id -1 of"),
        ({"partition-id": 0, "num-partitions": 0}, "num-partitions 0"),
        ({"partition-id": 0, "num-partitions": MAX_PARTITIONS + 1}, "num-partitions 401"),
    ],
)
def test_a_node_with_neither_data_nor_partition_is_told(node_config: dict[str, object], reason: str) -> None:
    with pytest.raises(DataRefusedError, match=reason):
        read_node_data(node_config, None)


def test_loading_is_told_once_a_run(tmp_path: Path, journal: ReadEvents) -> None:
    environment = {"ONEFLOWER_DATA": str(tmp_path / "none"), "ONEFLOWER_EVENTS": str(tmp_path / "events.jsonl")}
    context = context_of(partition_id=1, num_partitions=3)
    first = load_node_data(context, environment=environment)
    load_node_data(context, environment=environment)
    assert [event["event"] for event in journal()] == ["data_loaded"]
    assert journal()[0]["data"] == {
        "run_id": "7",
        "source": "bundled",
        "rows": first.rows,
        "held_out": len(first.held_out),
        "partition_id": 1,
    }


def test_refusal_is_told_with_file_and_line_and_so_is_the_recovery(tmp_path: Path, journal: ReadEvents) -> None:
    data = tmp_path / "data"
    data.mkdir()
    environment = {"ONEFLOWER_DATA": str(data), "ONEFLOWER_EVENTS": str(tmp_path / "events.jsonl")}
    context = context_of()
    (data / "rows.csv").write_text("a,b,label\n1,x,0\n")
    for _ in range(2):
        with pytest.raises(DataRefusedError, match=r"rows\.csv, line 2"):
            load_node_data(context, environment=environment)
    write_rows(data, 80)
    load_node_data(context, environment=environment)
    refused, loaded = journal()
    assert (refused["event"], refused["data"]["file"], refused["data"]["line"]) == ("data_refused", "rows.csv", 2)
    assert loaded["data"]["source"] == "folder"
