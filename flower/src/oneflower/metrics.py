"""Means of what nodes state, and losses that are no numbers."""

import math

from flwr.app import MetricRecord, RecordDict

from oneflower.events import finite_metrics


def is_loss(metric: str) -> bool:
    """Whether a metric is a loss, by its name."""
    return "loss" in metric.lower()


def is_broken(metric: str, value: object) -> bool:
    """Whether a metric is a loss that is no finite number."""
    return is_loss(metric) and isinstance(value, float) and not math.isfinite(value)


def average_metrics(contents: list[RecordDict], weight_key: str) -> MetricRecord:
    """Mean of each metric, weighted by ``weight_key``, over the nodes where it is a finite number.

    A node can have a metric that its rows do not define, such as ROC-AUC with one kind of rows; it says NaN, and
    that must not spoil the mean of the others. A loss that is finite on no node is NaN: training has come apart.
    Lists have no mean and are left out.
    """
    stated: dict[str, list[tuple[float, float]]] = {}
    broken: set[str] = set()
    listed: set[str] = set()
    for content in contents:
        for record in content.metric_records.values():
            values = finite_metrics(dict(record))
            weight = values.pop(weight_key, 0.0)
            broken |= {name for name, value in record.items() if is_broken(name, value)}
            listed |= {name for name, value in record.items() if isinstance(value, list)}
            for name, value in values.items():
                stated.setdefault(name, []).append((weight, value))
    means = {name: mean for name, pairs in stated.items() if (mean := _mean(pairs)) is not None}
    return MetricRecord({**dict.fromkeys(sorted(broken - listed), math.nan), **means})


def _mean(pairs: list[tuple[float, float]]) -> float | None:
    """The mean of values by their weights; None where nothing has any weight.

    It is finite where the values are: one node's huge number must not look like a training that has come apart.
    """
    total = sum(weight for weight, _ in pairs)
    return sum(value * (weight / total) for weight, value in pairs) if total > 0 else None
