"""The manifest of a checkpoint: a JSON file for people and programs, written after the arrays that it describes."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

FORMAT = 1


@dataclass(frozen=True)
class BestRound:
    """The round with the best value of the metric that the app, or the default, goes by."""

    round: int
    metric: str
    value: float


@dataclass(frozen=True)
class RoundRecord:
    """What came of one round. ``trained`` is False when no node's training had a result."""

    round: int
    metrics: dict[str, float]
    seconds: float
    trained: bool = True


@dataclass(frozen=True)
class Manifest:
    """All that is known of a checkpoint but its arrays. ``fab`` is ``publisher.name.version.hash`` of the app."""

    run_id: str
    fab: str | None
    app: str | None
    framework: str | None
    strategy: str
    round: int
    num_rounds: int
    file: str
    sha256: str
    bytes: int
    # Forms of all arrays in the file, and of those that the app began its first round with.
    arrays: dict[str, dict[str, Any]]
    initial: dict[str, dict[str, Any]]
    metrics: dict[str, float]
    history: list[RoundRecord]
    best: BestRound | None
    is_best: bool
    is_final: bool
    details: dict[str, Any]
    constants: list[str]
    state: dict[str, Any]
    unknown_state: list[str]
    node_examples: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    privacy: dict[str, float] = field(default_factory=dict)
    saved_at: str = ""
    format: int = FORMAT

    def to_json(self) -> str:
        """The file's text."""
        values = {"format": self.format, **{name: value for name, value in asdict(self).items() if name != "format"}}
        return json.dumps(values, allow_nan=False, indent=1) + "\n"


class NewerFormatError(Exception):
    """The manifest was written by a later release."""


def parse_manifest(text: str) -> Manifest:
    """The manifest that a text holds; fields that this release does not know are passed over.

    :raises NewerFormatError: its format is a later one.
    :raises ValueError: it is no manifest.
    """
    values = json.loads(text, parse_constant=_refuse_constant)
    if not isinstance(values, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - one error for all that is no manifest
    version = values.get("format")
    if isinstance(version, int) and not isinstance(version, bool) and version > FORMAT:
        raise NewerFormatError(f"its format is {version}, this release knows {FORMAT}")
    if version != FORMAT:
        raise ValueError(f"its format is {version!r}")
    known: dict[str, Any] = {}
    for item in fields(Manifest):
        if item.name not in values:
            if item.name in _REQUIRED:
                raise ValueError(f"{item.name} is missing")
            continue
        if not _SHAPES[item.name](values[item.name]):
            raise ValueError(f"{item.name} is not what it should be")
        known[item.name] = values[item.name]
    known["history"] = [_round_record(entry) for entry in known["history"]]
    known["best"] = None if known["best"] is None else BestRound(**known["best"])
    return Manifest(**known)


def _round_record(entry: Mapping[str, Any]) -> RoundRecord:
    return RoundRecord(entry["round"], dict(entry["metrics"]), entry["seconds"], entry.get("trained", True))


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _mapping(value: object) -> bool:
    return isinstance(value, dict)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _mapping_of(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and all(check(item) for item in value.values())


def _array(value: object) -> bool:
    return (
        isinstance(value, dict)
        and _text(value.get("dtype"))
        and isinstance(value.get("shape"), list)
        and all(_whole(side) for side in value["shape"])
    )


def _history(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, dict)
        and _whole(entry.get("round"))
        and _mapping_of(_number)(entry.get("metrics"))
        and _number(entry.get("seconds"))
        and _flag(entry.get("trained", True))
        for entry in value
    )


def _best(value: object) -> bool:
    return value is None or (
        isinstance(value, dict)
        and set(value) == {"round", "metric", "value"}
        and _whole(value["round"])
        and _text(value["metric"])
        and _number(value["value"])
    )


_SHAPES: dict[str, Callable[[object], bool]] = {
    "run_id": _text,
    "fab": _text_or_none,
    "app": _text_or_none,
    "framework": _text_or_none,
    "strategy": _text,
    "round": _whole,
    "num_rounds": _whole,
    "file": _text,
    "sha256": _text,
    "bytes": _whole,
    "arrays": _mapping_of(_array),
    "initial": _mapping_of(_array),
    "metrics": _mapping_of(_number),
    "history": _history,
    "best": _best,
    "is_best": _flag,
    "is_final": _flag,
    "details": _mapping,
    "constants": _texts,
    "state": _mapping,
    "unknown_state": _texts,
    "node_examples": _mapping_of(_whole),
    "versions": _mapping_of(_text),
    "privacy": _mapping_of(_number),
    "saved_at": _text,
    "format": _whole,
}
_REQUIRED = set(_SHAPES) - {"node_examples", "versions", "privacy", "saved_at"}
