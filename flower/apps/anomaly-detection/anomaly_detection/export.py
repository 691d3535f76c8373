"""A model in the form of its framework, for use without Flower and OneFlower."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly_detection.plan import NETWORKS
from anomaly_detection.scaling import LIMIT, UNITS

# The framework that each form is of.
FORMATS = {"joblib": "sklearn", "pt": "pytorch"}

Arrays = Mapping[str, NDArray[Any]]


class ExportError(Exception):
    """The model cannot be had in the form that is asked for."""


def export(
    arrays: Arrays,
    details: Mapping[str, Any],
    format: str,  # noqa: A002 - the name that all apps share
    target: Path,
) -> Path:
    """Write a model to ``target``, which it returns.

    ``joblib``: a fitted scikit-learn ``Pipeline`` for rows as the sensors give them; ``predict`` says 0 (normal) or 1
    (anomaly), ``predict_proba`` how sure it is, and ``columns_`` holds the columns' names. ``pt``: a dict of tensors
    and plain values, for ``torch.load``: ``state_dict`` of the autoencoder, ``center`` and ``width`` of the scale.

    :param details: those that the model was written with: framework and columns.
    :raises ExportError: the model is of another framework, or is none of this app.
    :raises ImportError: this environment lacks the framework.
    """
    framework, columns = str(details.get("framework", "sklearn")), details.get("columns")
    if FORMATS.get(format) != framework:
        possible = [name for name, its in FORMATS.items() if its == framework]
        raise ExportError(f"a model of {framework} can be had as {', '.join(possible) or 'npz'}, not as {format}")
    missing = [name for name in (*NETWORKS[framework].ARRAY_NAMES, "center", "width") if name not in arrays]
    if missing or not isinstance(columns, list):
        raise ExportError(f"this is no model of anomaly-detection: {', '.join(missing) or 'columns'} missing")
    (_write_joblib if format == "joblib" else _write_pt)(arrays, [str(column) for column in columns], target)
    return target


def _write_joblib(arrays: Arrays, columns: list[str], target: Path) -> None:
    """The scale as steps of scikit-learn and NumPy alone: the file must load where this package is unknown."""
    import joblib
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    from anomaly_detection.training import classifier

    scaler = StandardScaler()
    scaler.mean_, scaler.scale_ = arrays["center"], arrays["width"] / UNITS
    scaler.var_, scaler.n_features_in_, scaler.n_samples_seen_ = scaler.scale_**2, len(columns), 1
    steps = [
        ("scale", scaler),
        ("limit", FunctionTransformer(np.clip, kw_args={"a_min": -LIMIT, "a_max": LIMIT})),
        ("tame", FunctionTransformer(np.arcsinh)),
        ("network", classifier(dict(arrays))),
    ]
    pipeline = Pipeline(steps)
    pipeline.columns_ = columns
    joblib.dump(pipeline, target)


def _write_pt(arrays: Arrays, columns: list[str], target: Path) -> None:
    import torch

    from anomaly_detection.torch_training import network_of

    scale = {name: torch.tensor(np.asarray(arrays[name], np.float64)) for name in ("center", "width")}
    document = {
        "state_dict": network_of(dict(arrays)).state_dict(),
        **scale,
        "units": UNITS,
        "limit": LIMIT,
        "columns": columns,
    }
    torch.save(document, target)
