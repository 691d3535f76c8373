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
    sums: dict[str, float] = {}
    weights: dict[str, float] = {}
    broken: set[str] = set()
    listed: set[str] = set()
    for content in contents:
        for record in content.metric_records.values():
            values = finite_metrics(dict(record))
            weight = values.pop(weight_key, 0.0)
            broken |= {name for name, value in record.items() if is_broken(name, value)}
            listed |= {name for name, value in record.items() if isinstance(value, list)}
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + weight * value
                weights[name] = weights.get(name, 0.0) + weight
    means = {name: total / weights[name] for name, total in sums.items() if weights[name] > 0}
    return MetricRecord({**dict.fromkeys(sorted(broken - listed), math.nan), **means})
