"""What ServerApp and ClientApps say to one another: columns, scale and weights, in Flower's records."""

from collections.abc import Mapping, Sequence

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, ConfigRecordValues, RecordDict

from anomaly_detection.scaling import Floats, Scale
from anomaly_detection.types import Weights
from oneflower.rows import Rows


class ExchangeError(Exception):
    """Nodes, or a node and the server, do not speak of the same columns."""


def weights_record(weights: Weights) -> ArrayRecord:
    """Weights as they travel."""
    return ArrayRecord({name: Array(array) for name, array in weights.items()})


def read_weights(content: RecordDict, names: Sequence[str]) -> Weights:
    """The weights in a message.

    :raises ExchangeError: there are none, or not those of the network whose arrays have these names.
    """
    record = content.get("arrays")
    if not isinstance(record, ArrayRecord) or set(record) != set(names):
        raise ExchangeError("The message holds no weights of this app's network")
    return {name: record[name].numpy() for name in names}


def read_config(content: RecordDict) -> tuple[ConfigRecord, int]:
    """The configuration in a message, and its round.

    :raises ExchangeError: there is none.
    """
    config = content.get("config")
    server_round = config.get("server-round") if isinstance(config, ConfigRecord) else None
    if not isinstance(config, ConfigRecord) or not isinstance(server_round, int):
        raise ExchangeError("The message does not say which round it belongs to")
    return config, server_round


def scale_answer(rows: Rows) -> RecordDict:
    """A node's answer to the question for its columns and their scale."""
    scale = Scale.of_rows(rows.features)
    return RecordDict({"scale": ConfigRecord(_scale_values(rows.columns, scale))})


def agree(answers: Mapping[int, RecordDict]) -> tuple[tuple[str, ...], Scale]:
    """Columns and scale that all nodes share.

    :raises ExchangeError: an answer is malformed or nodes hold different columns; it names the node.
    """
    columns: tuple[str, ...] = ()
    scales: list[Scale] = []
    for node, answer in sorted(answers.items()):
        record = answer.get("scale")
        if not isinstance(record, ConfigRecord):
            raise ExchangeError(f"Node {node} did not state the scale of its sensors")
        theirs = _columns(record)
        if columns and theirs != columns:
            raise ExchangeError(
                f"Node {node} holds the columns {', '.join(theirs)}; other nodes hold {', '.join(columns)}"
            )
        columns = theirs
        try:
            scales.append(read_scale(record, columns))
        except ExchangeError as error:
            raise ExchangeError(f"Node {node} cannot take part: {error}") from error
    return columns, Scale.shared(scales)


def scale_config(columns: Sequence[str], scale: Scale) -> ConfigRecord:
    """The agreed scale, as it goes to the nodes with each message."""
    return ConfigRecord(_scale_values(columns, scale))


def read_scale(record: ConfigRecord, columns: Sequence[str]) -> Scale:
    """The scale in a record, for rows with the given columns.

    :raises ExchangeError: it is for other columns, or is none.
    """
    if _columns(record) != tuple(columns):
        raise ExchangeError(
            f"The run is about the columns {', '.join(_columns(record))}; this node holds {', '.join(columns)}"
        )
    center, width = _numbers(record.get("center")), _numbers(record.get("width"))
    sound = center.shape == width.shape == (len(columns),)
    if not sound or not np.isfinite(center).all() or not np.isfinite(width).all() or not (width > 0).all():
        raise ExchangeError("the scale of its sensors is malformed")
    return Scale(center, width)


def _numbers(value: object) -> Floats:
    numbers = value if isinstance(value, list) and all(isinstance(item, int | float) for item in value) else []
    return np.asarray(numbers, float)


def _scale_values(columns: Sequence[str], scale: Scale) -> dict[str, ConfigRecordValues]:
    return {"columns": list(columns), "center": scale.center.tolist(), "width": scale.width.tolist()}


def _columns(record: ConfigRecord) -> tuple[str, ...]:
    value = record.get("columns")
    return tuple(str(name) for name in value) if isinstance(value, list) else ()
