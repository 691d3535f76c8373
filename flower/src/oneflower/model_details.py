"""What is told of a final model besides its arrays: enough for a model card."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flwr.serverapp.strategy import Strategy

from oneflower.checkpoints.manifest import BestRound, RoundRecord
from oneflower.checkpoints.state import chain_of, strategy_name

# Events are lines of at most 24 KiB, of which the metrics need their part and the other fields a little.
MAX_DETAILS = 20_000
MAX_TOLD = 23_000
_HISTORY_LENGTHS = (500, 200, 100, 50, 20, 5, 0)
_NODES = 50
PRIVACY_PREFIX = "privacy_"


def strategy_parameters(strategy: Strategy) -> dict[str, float | int | str | bool]:
    """Plain public attributes of a strategy and of those that it wraps, such as ``eta`` or ``proximal_mu``."""
    found: dict[str, float | int | str | bool] = {}
    for item in chain_of(strategy):
        found |= {
            name: value
            for name, value in vars(item).items()
            if not name.startswith("_") and isinstance(value, bool | int | float | str)
        }
    return found


def model_details(
    *,
    strategy: Strategy,
    app: str | None,
    framework: str | None,
    num_rounds: int,
    history: list[RoundRecord],
    best: BestRound | None,
    node_examples: Mapping[str, int],
    versions: Mapping[str, str],
    arrays: Mapping[str, Mapping[str, Any]],
    privacy: Mapping[str, float],
    own: Mapping[str, object],
) -> dict[str, object]:
    """Details of a model; ``own`` are those of the app, which come last and win. Cut to what an event can carry."""
    last = history[-1].metrics if history else {}
    details: dict[str, object] = {
        "app": app,
        "framework": framework,
        "strategy": strategy_name(strategy),
        "strategy_parameters": strategy_parameters(strategy),
        "num_rounds": num_rounds,
        "trained_rounds": sum(record.trained for record in history),
        "best": None if best is None else asdict(best),
        "node_examples": dict(node_examples),
        "privacy": {**privacy, **{name: value for name, value in last.items() if name.startswith(PRIVACY_PREFIX)}},
        "versions": dict(versions),
        "history": [asdict(record) for record in history],
        "arrays": {name: dict(form) for name, form in arrays.items()},
        **own,
    }
    room = min(MAX_DETAILS, MAX_TOLD - _length(last))
    return _fitting(details, best, room)


def _fitting(details: dict[str, object], best: BestRound | None, room: int) -> dict[str, object]:
    """The details, with fewer rounds, nodes and arrays where they are too long; ``left_out`` says what is missing.

    The manifest of the final checkpoint holds the whole.
    """
    left_out: dict[str, int] = {}
    history = details["history"]
    for length in _HISTORY_LENGTHS:
        if _length(details) <= room or not isinstance(history, list):
            break
        thinned = _thinned(history, length, None if best is None else best.round)
        left_out["history"] = len(history) - len(thinned)
        details = {**details, "history": thinned, "left_out": left_out}
    for name, most in (("arrays", 0), ("node_examples", _NODES)):
        whole = details[name]
        if _length(details) <= room or not isinstance(whole, dict) or len(whole) <= most:
            continue
        left_out[name] = len(whole) - most
        details = {**details, name: dict(list(whole.items())[:most]), "left_out": left_out}
    return details


def _thinned(history: list[Any], length: int, best: int | None) -> list[Any]:
    """Rounds at even distances, the first, the last and the best among them."""
    if len(history) <= length or length == 0:
        return history[:length]
    places = {round(place * (len(history) - 1) / (length - 1)) for place in range(length)}
    return [record for place, record in enumerate(history) if place in places or record["round"] == best]


def _length(told: Mapping[str, object]) -> int:
    return len(json.dumps(told, default=str))
