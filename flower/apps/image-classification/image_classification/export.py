"""A model in the form of its framework, for use without Flower and OneFlower."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from image_classification.variant import Task

# The framework that each form is of.
FORMATS = {"joblib": "sklearn", "pt": "pytorch", "keras": "tensorflow"}


class ExportError(Exception):
    """The model cannot be had in the form that is asked for."""


def export(
    arrays: Mapping[str, NDArray[Any]],
    details: Mapping[str, object],
    format: str,  # noqa: A002
    target: Path,
) -> Path:
    """Write a model to ``target``, which it returns.

    ``joblib``: a fitted ``MLPClassifier`` for rows of pixels from 0 to 1, with the names of its classes in
    ``class_names_``. ``pt``: a state dict for the network of ``pytorch_network.py``. ``keras``: a Keras model; both
    networks take pixels from 0 to 1 and give logits.

    :param details: those that the model was written with: framework, shape and classes.
    :raises ExportError: the model is of another framework, or its details do not say what it is.
    :raises ImportError: this environment lacks the framework.
    """
    framework, task = _described(details)
    if FORMATS.get(format) != framework:
        (possible,) = (name for name, its in FORMATS.items() if its == framework)
        raise ExportError(f"The model is one of {framework}: it can be had as {possible}, not as {format}")
    _WRITERS[format](arrays, task, target)
    return target


def _joblib(arrays: Mapping[str, NDArray[Any]], task: Task, target: Path) -> None:
    import joblib

    from image_classification.sklearn_model import estimator

    network = estimator(arrays, len(task.classes))
    network.class_names_ = list(task.classes)
    joblib.dump(network, target)


def _pt(arrays: Mapping[str, NDArray[Any]], task: Task, target: Path) -> None:
    import torch

    from image_classification.pytorch_model import loaded

    torch.save(loaded(arrays, task).cpu().state_dict(), target)


def _keras(arrays: Mapping[str, NDArray[Any]], task: Task, target: Path) -> None:
    from image_classification.tensorflow_model import loaded

    # Keras refuses names of another ending.
    draft = target.with_name(f"{target.name}.keras")
    loaded(arrays, task).save(draft)
    draft.replace(target)


_WRITERS = {"joblib": _joblib, "pt": _pt, "keras": _keras}


def _described(details: Mapping[str, object]) -> tuple[str, Task]:
    framework, shape, classes = (details.get(key) for key in ("framework", "shape", "classes"))
    if framework not in FORMATS.values() or not isinstance(shape, list) or not isinstance(classes, list):
        raise ExportError("The model's details do not say what framework, images and classes it is for")
    if len(shape) != 3 or not all(isinstance(size, int) for size in shape):
        raise ExportError(f"The model's details state images of {shape}")
    height, width, channels = shape
    return str(framework), Task((height, width, channels), tuple(str(name) for name in classes))
