"""What is told of a final model besides its arrays: enough for a model card."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flwr.serverapp.strategy import Strategy

from oneflower.checkpoints.manifest import BestRound, RoundRecord
from oneflower.checkpoints.state import chain_of, strategy_name
from oneflower.files import replace_file
from oneflower.log import logger

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
    """Details of a model; ``own`` are those of the app, which come last and win."""
    last = history[-1].metrics if history else {}
    return {
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


def write_details(details: Mapping[str, object], file: Path) -> None:
    """Write them as one JSON object, whole or not at all.

    A model is worth keeping without them too: a disk that refuses is told by a warning.
    """
    text = json.dumps(plain_mapping(details), allow_nan=False, separators=(",", ":"))
    try:
        replace_file(file, text.encode("ascii"), 0o640)
    except OSError as error:
        logger.warning("What is told of the model could not be written to %s: %s", file, error)


def plain_mapping(values: Mapping[str, object]) -> dict[str, object]:
    """A mapping as JSON can carry it: NaN and infinity become null, what is unknown becomes text."""
    return {str(key): _plain(item) for key, item in values.items()}


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return plain_mapping(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(item) for item in value]
    return str(value)
