"""Which round is the best one."""

from collections.abc import Mapping
from typing import Literal

from oneflower.checkpoints.manifest import BestRound, RoundRecord

Rule = tuple[str, Literal["min", "max"]]

# Without a rule of the app's: the first of these that a round has, and from then on no other.
DEFAULT_RULES: tuple[Rule, ...] = (
    ("eval_loss", "min"),
    ("eval_accuracy", "max"),
    ("accuracy", "max"),
)


def check_rule(rule: Rule | None) -> None:
    """Refuse what is no rule.

    :raises ValueError: its second part is neither min nor max.
    """
    if rule is not None and rule[1] not in ("min", "max"):
        raise ValueError(f"best is {rule!r}: a metric and 'min' or 'max' are wanted")


def better(rule: Rule | None, record: RoundRecord, so_far: BestRound | None) -> BestRound | None:
    """The round, if it is better than the best so far; of equal ones the first is the best.

    A round without the metric by which the best one is told, perhaps as nobody has evaluated it, is never better.
    """
    rule = rule or _default(record.metrics, so_far)
    if rule is None or not record.trained or rule[0] not in record.metrics:
        return None
    metric, direction = rule
    value = record.metrics[metric]
    if so_far is not None and so_far.metric == metric:
        is_better = value < so_far.value if direction == "min" else value > so_far.value
        if not is_better:
            return None
    return BestRound(record.round, metric, value)


def _default(metrics: Mapping[str, float], so_far: BestRound | None) -> Rule | None:
    known = next((rule for rule in DEFAULT_RULES if so_far is not None and rule[0] == so_far.metric), None)
    return known or next((rule for rule in DEFAULT_RULES if rule[0] in metrics), None)
