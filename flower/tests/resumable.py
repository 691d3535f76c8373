"""Runs that can be interrupted in any exchange, of nodes whose answers are the same each time."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from memory_grid import GridOfTests
from oneflower.checkpoints.store import CheckpointStore
from oneflower.server import (
    Federation,
)
from oneflower.versions import versions_record

ROUNDS = 6
NODES = 5


class Killed(BaseException):
    """Stands for the end of the process in the middle of an exchange."""


class Nodes(GridOfTests):
    """Nodes whose answers depend on round, node and arrays alone. ``killed_at`` is an exchange such as ``2 train``.

    ``failing`` and ``unevaluated`` are rounds in which all fail to train, and to evaluate.
    """

    def __init__(
        self,
        *,
        killed_at: str = "",
        failing: Iterable[int] = (),
        unevaluated: Iterable[int] = (),
        metrics: Mapping[int, Mapping[str, float]] | None = None,
        versions: bool = False,
    ) -> None:
        self.rounds: list[int] = []
        self.asked: list[str] = []
        self._killed_at = killed_at
        self._failing = {"train": set(failing), "evaluate": set(unevaluated)}
        self._metrics = metrics or {}
        self._versions = versions

    def get_node_ids(self) -> Iterable[int]:
        return range(1, NODES + 1)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        asked = sorted(messages, key=lambda message: message.metadata.dst_node_id)
        return [self._answer(message) for message in asked]

    def _answer(self, message: Message) -> Message:
        kind, number = message.metadata.message_type, 0
        if kind != "query":
            config = message.content["config"]
            assert isinstance(config, ConfigRecord)
            number = int(str(config["server-round"]))
        place = f"{number} {kind}"
        if place not in self.asked:
            self.asked.append(place)
            # Whatever noise a strategy adds is the same in every run.
            np.random.seed(number)  # noqa: NPY002
        if place == self._killed_at:
            raise Killed
        if kind == "query":
            return Message(RecordDict(), reply_to=message)
        if number in self._failing.get(kind, ()):
            return Message(Error(code=2, reason="broken"), reply_to=message)
        node = message.metadata.dst_node_id
        metrics: dict[str, Any] = {
            "num-examples": 10 * node,
            "train_loss": 1 / number,
            "eval_loss": 1 / number,
            "norm_bit": 1,
        }
        metrics |= self._metrics.get(number, {})
        if number in self._failing["evaluate"]:
            del metrics["eval_loss"]
        content = RecordDict({"metrics": MetricRecord(metrics)})
        if kind == "train":
            self.rounds += [number] if number not in self.rounds else []
            arrays = message.content["arrays"]
            assert isinstance(arrays, ArrayRecord)
            content["arrays"] = ArrayRecord({name: moved(array, number, node) for name, array in arrays.items()})
            if self._versions:
                told = versions_record("jsonschema", "no-such-package")
                content["versions"] = ConfigRecord({**told, "torch": "2.13.0" if node < 3 else "2.12.0"})
        return Message(content, reply_to=message)


def moved(array: Array, number: int, node: int) -> Array:
    values = array.numpy()
    if values.dtype.kind != "f":
        return array
    step = np.random.default_rng([number, node]).normal(0, 0.1, values.shape)
    return Array(np.asarray((values * 0.9 + step).astype(values.dtype)))


def context_of(run_id: int, **run_config: bool | float | str) -> Context:
    config: dict[str, bool | float | str] = {"num-server-rounds": ROUNDS, "checkpoint-interval": 1, "resume-from": ""}
    config |= {key.replace("_", "-"): value for key, value in run_config.items()}
    return Context(run_id=run_id, node_id=0, node_config={}, state=RecordDict(), run_config=config)


def initial() -> ArrayRecord:
    """More than ten arrays, a scalar and a counter of whole numbers among them."""
    arrays = {f"layer.{number}": np.full((2, 3), number / 7, dtype=np.float32) for number in range(11)}
    return ArrayRecord({name: Array(array) for name, array in arrays.items()} | {"bias": Array(np.array(0.5))})


def run(context: Context, grid: Grid, strategy: Strategy | None = None, **arguments: Any) -> None:  # noqa: ANN401
    Federation.begin(grid, context, strategy, sleep=lambda _: None).train(initial(), **arguments)


def newest(checkpoints: Path, run_id: int) -> str:
    found = CheckpointStore(checkpoints / str(run_id)).newest_readable()
    assert found is not None
    return f"{run_id}/{found.manifest.file}"


def rounds_kept(checkpoints: Path, run_id: int) -> list[int]:
    return [manifest.round for manifest in CheckpointStore(checkpoints / str(run_id)).manifests()]


def killed(context: Context, at: str, strategy: Strategy | None = None, **arguments: Any) -> None:  # noqa: ANN401
    with pytest.raises(Killed):
        run(context, Nodes(killed_at=at), strategy, **arguments)
