"""What ServerApp and ClientApps say to one another: the task and the arrays, in Flower's records."""

from collections.abc import Mapping

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from numpy.typing import NDArray

from image_classification.variant import Arrays, Task
from oneflower.start import shared_start


class ExchangeError(Exception):
    """Nodes, or a node and the server, do not speak of the same images."""


def arrays_record(arrays: Arrays) -> ArrayRecord:
    """Arrays as they travel."""
    return ArrayRecord({name: Array(array) for name, array in arrays.items()})


def read_arrays(content: RecordDict) -> dict[str, NDArray[np.float32]]:
    """The arrays in a message.

    :raises ExchangeError: there are none.
    """
    record = content.get("arrays")
    if not isinstance(record, ArrayRecord) or not record:
        raise ExchangeError("The message holds no arrays")
    return {name: array.numpy() for name, array in record.items()}


def read_config(content: RecordDict, task: Task) -> int:
    """The round of a message.

    :param task: that of this node's images.
    :raises ExchangeError: the message has no configuration, or is about other images.
    """
    config = content.get("config")
    server_round = config.get("server-round") if isinstance(config, ConfigRecord) else None
    if not isinstance(config, ConfigRecord) or not isinstance(server_round, int):
        raise ExchangeError("The message does not say which round it belongs to")
    theirs = _task(config)
    if theirs != task:
        raise ExchangeError(f"The run is about {_words(theirs)}; this node holds {_words(task)}")
    return server_round


def task_config(task: Task) -> ConfigRecord:
    """The task as it goes to the nodes with each message."""
    return ConfigRecord({"shape": list(task.shape), "classes": list(task.classes)})


def start_answer(task: Task, arrays: Arrays) -> RecordDict:
    """A node's answer to the question for its task and the arrays to start from."""
    return RecordDict({"task": task_config(task), "arrays": arrays_record(arrays)})


def agree(answers: Mapping[int, RecordDict]) -> tuple[Task, ArrayRecord]:
    """The task that all nodes share, and the arrays to start from that most propose.

    :raises ExchangeError: an answer is malformed, or nodes hold other images than the lowest one; it names them.
    :raises TrainingFailedError: no node proposes arrays of finite numbers.
    """
    first, *others = sorted(answers)
    task = _task_of(first, answers[first])
    for node in others:
        theirs = _task_of(node, answers[node])
        if theirs != task:
            raise ExchangeError(f"Node {node} holds {_words(theirs)}; node {first} holds {_words(task)}")
    return task, shared_start(answers)


def check_resumed(details: Mapping[str, object], task: Task) -> None:
    """Refuse to go on from a model of other images: its outputs would get other names.

    :param details: those of the checkpoint.
    :raises ExchangeError: they state other images than the nodes hold.
    """
    theirs = _described(details.get("shape"), details.get("classes"))
    if theirs != task:
        raise ExchangeError(f"The checkpoint is of a model for {_words(theirs)}; the nodes hold {_words(task)}")


def _task_of(node: int, answer: RecordDict) -> Task:
    record = answer.get("task")
    task = _task(record) if isinstance(record, ConfigRecord) else None
    if task is None:
        raise ExchangeError(f"Node {node} did not state what images it holds")
    return task


def _task(record: ConfigRecord) -> Task | None:
    return _described(record.get("shape"), record.get("classes"))


def _described(shape: object, classes: object) -> Task | None:
    if not isinstance(shape, list) or not isinstance(classes, list) or len(shape) != 3:
        return None
    if not all(isinstance(size, int) for size in shape):
        return None
    height, width, channels = shape
    return Task((height, width, channels), tuple(str(name) for name in classes))


def _words(task: Task | None) -> str:
    if task is None:
        return "images that are not described"
    height, width, channels = task.shape
    colour = "grey" if channels == 1 else "coloured"
    return f"{colour} images of {height} by {width} pixels in the classes {', '.join(task.classes)}"
