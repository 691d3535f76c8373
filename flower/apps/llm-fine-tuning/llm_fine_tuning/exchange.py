"""What ServerApp and ClientApps say to one another: the base model and adapters, in Flower's records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from numpy.typing import NDArray

from llm_fine_tuning.stacking import stack_layers, unstack_layers
from oneflower.start import shared_start
from oneflower.text import quoted


class ExchangeError(Exception):
    """Nodes, or a node and the server, do not speak of the same base model."""


@dataclass(frozen=True)
class BaseFacts:
    """The base model of a node, as far as others must know it. ``parameters`` counts its weights."""

    model: str
    fingerprint: str
    parameters: int

    def config(self) -> ConfigRecord:
        """The facts as they travel."""
        return ConfigRecord({"model": self.model, "fingerprint": self.fingerprint, "parameters": self.parameters})

    @classmethod
    def of_config(cls, record: object) -> "BaseFacts | None":
        """The facts in a record; None when it holds none."""
        if not isinstance(record, ConfigRecord):
            return None
        model, fingerprint, parameters = (record.get(key) for key in ("model", "fingerprint", "parameters"))
        if not isinstance(model, str) or not isinstance(fingerprint, str) or not isinstance(parameters, int):
            return None
        return cls(model, fingerprint, parameters)

    def __str__(self) -> str:
        # Another's facts may be any text.
        return f"{quoted(self.model)} ({self.parameters} weights, fingerprint {quoted(self.fingerprint[:12])})"


def adapters_record(arrays: Mapping[str, NDArray[np.float32]]) -> ArrayRecord:
    """Adapters as they travel: one array for what all layers have alike."""
    return ArrayRecord({name: Array(array) for name, array in stack_layers(arrays).items()})


def read_adapters(content: RecordDict) -> dict[str, NDArray[Any]]:
    """The adapters in a message, by the names that peft gives them.

    :raises ExchangeError: there are none.
    """
    record = content.get("arrays")
    if not isinstance(record, ArrayRecord) or not record:
        raise ExchangeError("The message holds no adapters")
    return unstack_layers({name: array.numpy() for name, array in record.items()})


def read_config(content: RecordDict, mine: BaseFacts) -> int:
    """The round that a message belongs to.

    :raises ExchangeError: it does not say, or the run is about another base than this node's.
    """
    config = content.get("config")
    server_round = config.get("server-round") if isinstance(config, ConfigRecord) else None
    if not isinstance(server_round, int):
        raise ExchangeError("The message does not say which round it belongs to")
    theirs = BaseFacts.of_config(config)
    if theirs != mine:
        raise ExchangeError(f"The run is about the base model {theirs}; this node has {mine}")
    return server_round


def start_answer(base: BaseFacts, adapters: Mapping[str, NDArray[np.float32]]) -> RecordDict:
    """A node's answer to the question for its base model and the adapters to start from."""
    return RecordDict({"base": base.config(), "arrays": adapters_record(adapters)})


def agree(answers: Mapping[int, RecordDict]) -> tuple[BaseFacts, ArrayRecord]:
    """The base model that all nodes share, and the adapters to start from that most propose.

    :raises ExchangeError: an answer is malformed, or nodes have different bases; it names them.
    :raises TrainingFailedError: no node proposes adapters of finite numbers.
    """
    first, *others = sorted(answers)
    base = _base_of(first, answers[first])
    for node in others:
        theirs = _base_of(node, answers[node])
        if theirs != base:
            raise ExchangeError(f"Node {node} has the base model {theirs}; node {first} has {base}")
    return base, shared_start(answers)


def _base_of(node: int, answer: RecordDict) -> BaseFacts:
    base = BaseFacts.of_config(answer.get("base"))
    if base is None:
        raise ExchangeError(f"Node {node} did not state its base model")
    return base
