"""Adapters of the layers of a model as one array each: Flower moves every array by itself, at some 10 ms a hop.

``model.layers.0.q.weight`` and its like in all other layers are ``model.layers.*.q.weight``, with the layers along the
first axis. That is neutral to every strategy: they combine number by number, or measure over all arrays.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMBER = re.compile(r"\.\d+\.")
ALL = ".*."


def stack_layers(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """One array for what all layers have alike; what is otherwise stays as it is."""
    alike: dict[str, list[str]] = {}
    for name in arrays:
        alike.setdefault(NUMBER.sub(ALL, name, count=1), []).append(name)
    stacked: dict[str, NDArray[Any]] = {}
    for name, found in alike.items():
        layers = [_layer(name, number) for number in range(len(found))]
        forms = {(arrays[one].shape, arrays[one].dtype) for one in found}
        if ALL in name and set(layers) == set(found) and len(forms) == 1:
            stacked[name] = np.stack([arrays[layer] for layer in layers])
        else:
            stacked.update({one: arrays[one] for one in found})
    return stacked


def unstack_layers(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays of which those have been stacked."""
    apart: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        if ALL in name and array.ndim > 0:
            apart.update({_layer(name, number): layer for number, layer in enumerate(array)})
        else:
            apart[name] = array
    return apart


def _layer(name: str, number: int) -> str:
    return name.replace(ALL, f".{number}.", 1)
