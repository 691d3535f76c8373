"""Values of a strategy's attributes as JSON and named arrays, and back, without loss and without Python objects."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord
from numpy.typing import NDArray


class UnknownValueError(Exception):
    """A value that neither JSON nor arrays can carry."""


class Encoder:
    """Encodes values; their arrays gather in ``arrays``. ``model`` is kept once, however many attributes hold it."""

    def __init__(self, model: ArrayRecord) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}
        self._model = model

    def encode(self, value: object) -> Any:  # noqa: ANN401 - JSON
        """A value as JSON.

        :raises UnknownValueError: it cannot be carried.
        """
        if value is None or isinstance(value, bool | str):
            return value
        # Fractions as text: hexadecimal digits keep every bit, and NaN and infinity can stand there.
        if isinstance(value, np.ndarray | np.generic):
            return {"array": self._add(np.asarray(value))}
        if isinstance(value, int):
            return value
        if isinstance(value, float):
            return {"float": value.hex()}
        if isinstance(value, bytes):
            return {"bytes": self._add(np.frombuffer(value, dtype=np.uint8))}
        if isinstance(value, ArrayRecord):
            if value is self._model:
                return {"model": True}
            return {"record": [[name, self._add(array.numpy())] for name, array in value.items()]}
        if isinstance(value, list | tuple):
            kind = "list" if isinstance(value, list) else "tuple"
            return {kind: [self.encode(item) for item in value]}
        if isinstance(value, Mapping):
            return {"dict": [[self.encode(key), self.encode(item)] for key, item in value.items()]}
        raise UnknownValueError(f"a value of type {type(value).__name__}")

    def _add(self, array: NDArray[Any]) -> str:
        if array.dtype.hasobject:
            raise UnknownValueError("an array of Python objects")
        name = f"state/{len(self.arrays)}"
        self.arrays[name] = array
        return name


def decode(encoded: Any, arrays: Mapping[str, NDArray[Any]], model: ArrayRecord) -> Any:  # noqa: ANN401
    """What was encoded. ``arrays`` are by their full names.

    :raises ValueError: it was not written by an Encoder.
    """
    if not isinstance(encoded, dict):
        return encoded
    if len(encoded) != 1:
        raise ValueError("the state of the strategy is malformed")
    (kind, content), *_ = encoded.items()
    try:
        match kind:
            case "array":
                return arrays[content]
            case "float":
                return float.fromhex(content)
            case "bytes":
                return arrays[content].tobytes()
            case "model":
                return model
            case "record":
                return ArrayRecord({name: Array(arrays[place]) for name, place in content})
            case "list":
                return [decode(item, arrays, model) for item in content]
            case "tuple":
                return tuple(decode(item, arrays, model) for item in content)
            case "dict":
                return {decode(key, arrays, model): decode(item, arrays, model) for key, item in content}
    except (KeyError, TypeError) as error:
        raise ValueError(f"the state of the strategy is malformed: {error!r}") from error
    raise ValueError(f"the state of the strategy holds {kind!r}")
