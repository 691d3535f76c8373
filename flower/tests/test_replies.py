import json
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from conftest import ReadEvents, details_of
from oneflower.errors import TrainingFailedError
from oneflower.local_grid import identity
from oneflower.model_file import read_model
from oneflower.server import Federation
from tiny_nodes import TinyGrid, Train, content, context, moving, start

Arrays = Mapping[str, np.ndarray[Any, Any]]


@pytest.fixture(autouse=True)
def _server() -> Iterator[None]:
    with identity(1, 1):
        yield


def replying(reply: RecordDict) -> Train:
    return lambda _: reply


def plain(**arrays: Any) -> RecordDict:  # noqa: ANN401
    return content({"w": np.ones(3, np.float32), "n": np.array(1), **arrays})


def pickled() -> RecordDict:
    """An array whose bytes would run code if they were unpickled."""
    reply = plain()
    bad = Array(dtype="float32", shape=(3,), stype="numpy.ndarray", data=b"\x80\x04.")
    reply.array_records["arrays"]["w"] = bad
    return reply


def stating(header: str) -> RecordDict:
    """An array in NumPy's form whose header is what a node likes."""
    reply, text = plain(), header.encode() + b"\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(12)
    bad = Array(dtype="float32", shape=(3,), stype="numpy.ndarray", data=data)
    reply.array_records["arrays"]["w"] = bad
    return reply


def of_another_kind() -> RecordDict:
    """An array that says in many lines what it is."""
    reply = plain()
    reply.array_records["arrays"]["w"] = Array(dtype="", shape=(3,), stype="\n" * 5000, data=b"")
    return reply


def without_metrics() -> RecordDict:
    return RecordDict({"arrays": start()})


def two_records() -> RecordDict:
    reply = plain()
    reply["more"] = start()
    return reply


BAD = {
    "lacks the arrays 'n'": content({"w": np.ones(3, np.float32)}),
    "holds unknown arrays 'x'": plain(x=np.ones(1)),
    r"'w' of the reply has shape \(1, 3\), \(3,\) was sent": plain(w=np.ones((1, 3), np.float32)),
    "'w' of the reply is of type float64, float32 was sent": plain(w=np.ones(3)),
    "'w' of the reply holds NaN or infinity": plain(w=np.array([1, np.nan, 1], np.float32)),
    "'w' of the reply holds NaN or infinity ": plain(w=np.array([1, np.inf, 1], np.float32)),
    "array 'w' cannot be read": pickled(),
    "array 'w' cannot be read: .*multi-line": stating("{'descr': '<f4', ("),
    "array 'w' cannot be read: ": stating("-" * 5000 + "1"),
    "array 'w' cannot be read: .*allocate": stating(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000,)}"
    ),
    "array 'w' cannot be read: .*too large": stating(
        f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10**20},)}}"
    ),
    r"array 'w' cannot be read: [^\n]{1,1000}\Z": of_another_kind(),
    r"holds unknown arrays [^\n]{1,1000}\Z": plain(**{"x\n" * 1000: np.ones(1)}),
    "holds 0 metric records": without_metrics(),
    "holds 2 array records": two_records(),
    "does not say its num-examples": content({"w": np.ones(3, np.float32), "n": np.array(1)}, num_examples=[1]),
    "states num-examples=0,": content({"w": np.ones(3, np.float32), "n": np.array(1)}, num_examples=0),
    "states num-examples=-3,": content({"w": np.ones(3, np.float32), "n": np.array(1)}, num_examples=-3),
    "states num-examples=nan,": content({"w": np.ones(3, np.float32), "n": np.array(1)}, num_examples=float("nan")),
    "states num-examples=1e\\+300,": content({"w": np.ones(3, np.float32), "n": np.array(1)}, num_examples=1e300),
}


@pytest.mark.parametrize("strategy", ["FedAvg", "FedAdam", "FedMedian", "FedTrimmedAvg", "MultiKrum"])
@pytest.mark.parametrize("problem", BAD)
def test_an_unsound_reply_is_a_failure_of_its_node_and_is_left_out(
    problem: str, strategy: str, journal: ReadEvents, models: Path
) -> None:
    def run(*trains: Train) -> dict[str, Any]:
        asked: dict[str, Any] = {"strategy": strategy, "num_server_rounds": 1}
        Federation.begin(TinyGrid(trains), context(**asked)).train(start())
        return read_model(models / "1.npz")

    spoilt = run(moving(1), replying(BAD[problem]), moving(2))
    failures = [event["data"] for event in journal() if event["event"] == "client_failure"]
    assert [failure["node_id"] for failure in failures] == ["12"]
    assert re.search(problem.strip(), failures[0]["error"])
    end = next(event["data"] for event in journal() if event["event"] == "round_end")
    assert (end["num_clients_responded"], end["num_clients_failed"]) == (2, 1)
    sound = run(moving(1), moving(2))
    assert {name: array.tolist() for name, array in spoilt.items()} == {
        name: array.tolist() for name, array in sound.items()
    }


def test_a_round_without_any_sound_reply_leaves_the_model_and_the_run_goes_on(
    journal: ReadEvents, models: Path
) -> None:
    steps = [float("nan"), float("nan"), 1.0, 1.0]

    def nan_at_first(arrays: Arrays) -> RecordDict:
        return moving(steps.pop(0))(arrays)

    Federation.begin(TinyGrid([nan_at_first, nan_at_first]), context(num_server_rounds=2)).train(start())
    assert read_model(models / "1.npz")["w"].tolist() == [1.0] * 3
    ends = [event["data"] for event in journal() if event["event"] == "round_end"]
    assert [(end["num_clients_responded"], end["num_clients_failed"]) for end in ends] == [(0, 2), (2, 0)]


def test_a_run_without_any_sound_reply_fails(journal: ReadEvents, models: Path) -> None:
    with pytest.raises(TrainingFailedError):
        Federation.begin(TinyGrid([moving(float("inf"))] * 2), context(num_server_rounds=2)).train(start())
    assert list(models.iterdir()) == []


def test_an_aggregate_that_overflows_leaves_the_model(journal: ReadEvents, models: Path) -> None:
    def huge(arrays: Arrays) -> RecordDict:
        return plain(w=np.full(3, 3e38, np.float32))

    # The sum of two such arrays is beyond single precision, where the median takes their mean.
    asked: dict[str, Any] = {"strategy": "FedMedian", "num_server_rounds": 1}
    with pytest.raises(TrainingFailedError):
        Federation.begin(TinyGrid([huge, huge]), context(**asked)).train(start())
    assert list(models.iterdir()) == []


def test_nodes_may_name_records_and_metrics_as_they_like(journal: ReadEvents, models: Path) -> None:
    def otherwise(arrays: Arrays) -> RecordDict:
        record = ArrayRecord({"n": Array(arrays["n"]), "w": Array(arrays["w"] + np.float32(3))})
        return RecordDict(
            {
                "model": record,
                "numbers": MetricRecord({"num-examples": 3, "own_accuracy": 0.5}),
                "versions": ConfigRecord({"numpy": "2"}),
            }
        )

    Federation.begin(TinyGrid([moving(1, train_accuracy=1.0), otherwise]), context(num_server_rounds=1)).train(start())
    assert read_model(models / "1.npz")["w"].tolist() == [2.5] * 3
    end = next(event["data"] for event in journal() if event["event"] == "round_end")
    assert end["metrics"] == {"train-accuracy": 1.0, "own_accuracy": 0.5}
    assert end["num_clients_failed"] == 0


def test_a_node_cannot_crowd_out_the_metrics_of_the_others(journal: ReadEvents, models: Path) -> None:
    flood = {f"a{place:04d}\U0001f33b": 0.5 for place in range(2000)}
    nodes = [moving(1, train_accuracy=1.0), moving(1, train_accuracy=1.0), moving(1, **flood)]
    Federation.begin(TinyGrid(nodes), context(num_server_rounds=3)).train(start())
    for kind in ("round_end", "model_written"):
        end = next(event for event in journal() if event["event"] == kind)
        assert end["data"]["metrics"]["train-accuracy"] == 1.0
        # The agent reads lines of at most 24 KiB.
        assert len(json.dumps(end)) < 24 * 1024


def test_a_model_with_many_metrics_is_told_in_one_line(journal: ReadEvents, models: Path) -> None:
    classes = {f"recall_{place}": 0.123456789012345 for place in range(200)}
    more = MetricRecord({f"server_{place}": 0.123456789012345 for place in range(200)})
    settings = context(num_server_rounds=8)
    federation = Federation.begin(TinyGrid([moving(1, **classes), moving(1, **classes)]), settings)
    federation.train(start(), evaluate_fn=lambda _, __: more)
    written = next(event for event in journal() if event["event"] == "model_written")
    assert len(written["data"]["metrics"]) > 300
    assert len(details_of(models)["history"]) == 8
    assert len(json.dumps(written)) < 24 * 1024


def test_a_list_that_is_named_a_loss_is_no_broken_one(journal: ReadEvents, models: Path) -> None:
    nodes = [moving(1, train_loss=0.5, losses=[0.7, 0.5]), moving(1, train_loss=0.5)]
    Federation.begin(TinyGrid(nodes), context(num_server_rounds=1)).train(start())
    end = next(event["data"] for event in journal() if event["event"] == "round_end")
    assert end["metrics"] == {"train-loss": 0.5}
