"""What the final model says of itself."""

import json
import random
from pathlib import Path

import pytest
from flwr.serverapp.strategy import FedAdam

from conftest import ReadEvents
from oneflower.checkpoints.store import CheckpointStore
from oneflower.server import (
    Federation,
)
from resumable import NODES, ROUNDS, Nodes, context_of, initial, run

pytestmark = pytest.mark.usefixtures("server_app")


def test_the_model_tells_enough_for_a_card(checkpoints: Path, models: Path, journal: ReadEvents) -> None:
    context = context_of(1, framework="pytorch")
    metrics = {number: {"privacy_epsilon": number / 2} for number in range(1, 7)}
    Federation.begin(Nodes(metrics=metrics, versions=True), context, FedAdam(eta=0.25), app="mine").train(initial())
    details = journal()[-2]["data"]["details"]
    assert (details["app"], details["framework"], details["strategy"]) == ("mine", "pytorch", "FedAdam")
    assert details["strategy_parameters"]["eta"] == 0.25
    assert details["strategy_parameters"]["min_available_nodes"] == 2
    assert details["node_examples"] == {str(node): 10 * node for node in range(1, NODES + 1)}
    assert details["privacy"] == {"privacy_epsilon": 3.0}
    assert set(details["versions"]) == {"python", "flwr", "numpy", "torch", "jsonschema"}
    assert details["versions"]["torch"] == "2.12.0, 2.13.0"
    assert (details["num_rounds"], details["trained_rounds"]) == (ROUNDS, ROUNDS)
    assert [record["round"] for record in details["history"]] == [1, 2, 3, 4, 5, 6]
    assert details["arrays"]["layer.3"] == {"shape": [2, 3], "type": "float32"}


def test_a_long_history_stays_within_what_an_event_can_carry(
    checkpoints: Path, models: Path, journal: ReadEvents
) -> None:
    metrics = {number: {f"metric_{place}": random.random() for place in range(30)} for number in range(1, 41)}  # noqa: S311
    metrics[27]["eval_loss"] = 0.0001
    context = context_of(1, num_server_rounds=40, checkpoint_interval=10_000, checkpoint_keep=1)
    run(context, Nodes(metrics=metrics))
    written = journal()[-2]
    assert len(json.dumps(written)) < 24 * 1024
    rounds = [record["round"] for record in written["data"]["details"]["history"]]
    assert rounds[0] == 1
    assert rounds[-1] == 40
    assert 27 in rounds
    assert written["data"]["details"]["left_out"]["history"] == 40 - len(rounds)
    assert len(CheckpointStore(checkpoints / "1").manifests()[-1].history) == 40
