"""Which checkpoints the ServerApp goes on from; nodes without a base model stand for those that have one."""

from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from conftest import ReadEvents
from llm_fine_tuning.exchange import BaseFacts, adapters_record, read_adapters, start_answer
from llm_fine_tuning.server_app import app
from oneflower.checkpoints.resume import CHECKPOINTS_VARIABLE
from oneflower.local_grid import LocalGrid, LocalNode, identity
from oneflower.model_file import read_model
from oneflower.server import CheckpointRefusedError, Federation
from tiny_nodes import TinyGrid, content

MODEL = "/models/mine"
LAYERS = 300
BY_LAYER = {f"layers.{place}.lora_A": np.zeros(2, np.float32) for place in range(LAYERS)}


def context(run_id: int, node_id: int, **run_config: bool | float | str) -> Context:
    config: dict[str, bool | float | str] = {
        "model": MODEL,
        "num-server-rounds": 3,
        "checkpoint-interval": 1,
        **{key.replace("_", "-"): value for key, value in run_config.items()},
    }
    return Context(run_id=run_id, node_id=node_id, node_config={}, state=RecordDict(), run_config=config)


def client(weights: str) -> ClientApp:
    """A node whose folder holds certain weights, and which adds 1 to every adapter."""
    node = ClientApp()

    @node.query()
    def answer(message: Message, _: Context) -> Message:
        return Message(start_answer(BaseFacts(MODEL, weights * 32, 1000), BY_LAYER), reply_to=message)

    @node.train()
    def train(message: Message, _: Context) -> Message:
        moved = {name: array + np.float32(1) for name, array in read_adapters(message.content).items()}
        return Message(RecordDict({"arrays": adapters_record(moved), **stated()}), reply_to=message)

    @node.evaluate()
    def evaluate(message: Message, _: Context) -> Message:
        return Message(RecordDict({**stated()}), reply_to=message)

    return node


def stated() -> dict[str, ArrayRecord | MetricRecord]:
    return {"metrics": MetricRecord({"num-examples": 1, "eval_loss": 1.0})}


def run(run_id: int, weights: str, **run_config: bool | float | str) -> None:
    nodes = {number: LocalNode(client(weights), context(run_id, number), {}) for number in (11, 12)}
    with identity(run_id, 1):
        app(grid=LocalGrid(run_id, nodes), context=context(run_id, 1, **run_config))


@pytest.fixture(autouse=True)
def _checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.setenv(CHECKPOINTS_VARIABLE, str(tmp_path / "checkpoints"))


def test_a_run_goes_on_where_the_nodes_have_the_same_base(models: Path) -> None:
    run(7, "ab", num_server_rounds=2)
    run(8, "ab", resume_from="7/round-000001.npz")
    np.testing.assert_array_equal(read_model(models / "8.npz")["layers.*.lora_A"], np.full((LAYERS, 2), 3))


@pytest.mark.parametrize(
    ("weights", "asked", "difference"),
    [
        ("cd", {}, "its fingerprint is 'abab.*', that of this run 'cdcd.*'"),
        ("ab", {"lora_rank": 4}, "its lora_rank is 8, that of this run 4"),
        ("ab", {"model": "tiny"}, "its model is '/models/mine', that of this run 'tiny'"),
    ],
)
def test_a_checkpoint_beside_another_base_is_refused(
    weights: str, asked: dict[str, float | str], difference: str, models: Path, journal: ReadEvents
) -> None:
    run(7, "ab", num_server_rounds=2)
    before = len(journal())
    with pytest.raises(CheckpointRefusedError, match=difference):
        run(8, weights, resume_from="7/round-000001.npz", **asked)
    assert not [event for event in journal()[before:] if event["event"] == "round_start"]
    assert not (models / "8.npz").exists()


def test_a_checkpoint_with_adapters_by_layer_is_refused_in_few_words(models: Path) -> None:
    details = {"app": "llm-fine-tuning", **BaseFacts(MODEL, "ab" * 32, 1000).config(), "lora_rank": 8, "seed": 1}
    start = ArrayRecord({name: Array(array) for name, array in BY_LAYER.items()})
    with identity(7, 1):
        begun = Federation.begin(TinyGrid([content, content]), context(7, 1, num_server_rounds=1))
        begun.train(start, details=details)
    with pytest.raises(CheckpointRefusedError, match=r"lacks the array layers\.\*.* and 297 more") as caught:
        run(8, "ab", resume_from="7/round-000001.npz")
    assert len(str(caught.value)) < 600
