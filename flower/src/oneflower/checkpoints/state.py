"""What a strategy carries from one round to the next besides the model: moments, momentum, clipping norms.

Flower's strategies keep it in attributes, which are known here by name. A strategy of an app's own says it by the two
methods of ``KeepsState``; one that does not is resumed with its arrays, and the attributes that are lost are named.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from flwr.app import ArrayRecord
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray

from oneflower.checkpoints.encoding import Encoder, UnknownValueError, decode

# Attributes by class (flwr.serverapp.strategy of 1.41), those of bases included by inheritance. Left out is what each
# round sets anew before it is read: ``current_arrays`` of FedOpt, QFedAvg and server-side clipping, ``current_bst``.
_KNOWN_STATE: dict[str, tuple[str, ...]] = {
    "FedAvg": (),
    "FedAvgM": ("current_arrays", "momentum_vector"),
    "FedOpt": ("m_t", "v_t"),
    "FedXgbCyclic": ("registered_nodes",),
    "DifferentialPrivacyClientSideFixedClipping": (),
    "DifferentialPrivacyServerSideFixedClipping": (),
    "DifferentialPrivacyClientSideAdaptiveClipping": ("clipping_norm",),
    "DifferentialPrivacyServerSideAdaptiveClipping": ("clipping_norm",),
}
_SET_ANEW = {"current_arrays", "current_bst", "_pending_events", "_grid", "_asked"}
# Where wrappers hold the strategy that they wrap.
_INNER = ("strategy", "inner")
_MAX_DEPTH = 10


@runtime_checkable
class KeepsState(Protocol):
    """A strategy that says itself what it carries from round to round, as plain values, arrays and records of them."""

    def state_to_keep(self) -> dict[str, Any]:
        """The state after a round."""

    def restore_state(self, state: dict[str, Any]) -> None:
        """Go on from a state."""


@dataclass(frozen=True)
class StrategyState:
    """State as a checkpoint holds it; ``unknown`` names attributes that it cannot hold."""

    values: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    unknown: list[str]


def chain_of(strategy: Strategy) -> list[Strategy]:
    """A strategy and those that it wraps, from the outside in."""
    chain = [strategy]
    while len(chain) < _MAX_DEPTH:
        inner = next((found for name in _INNER if isinstance(found := vars(chain[-1]).get(name), Strategy)), None)
        if inner is None:
            break
        chain.append(inner)
    return chain


def strategy_name(strategy: Strategy) -> str:
    """Names of the classes, such as ``DifferentialPrivacyServerSideFixedClipping(FedAvg)``."""
    *wrappers, innermost = [type(item).__name__ for item in chain_of(strategy)]
    return "".join(f"{name}(" for name in wrappers) + innermost + ")" * len(wrappers)


def remember(strategy: Strategy) -> Callable[[], None]:
    """Returns what puts a strategy's known state back to what it is now: for a round that comes to nothing.

    Flower's strategies give these attributes new values and leave the old ones as they are.
    """
    before = [(item, name, getattr(item, name, None)) for item in chain_of(strategy) for name in _listed(item)]

    def put_back() -> None:
        for item, name, value in before:
            setattr(item, name, value)

    return put_back


class StateKeeper:
    """Captures and restores one strategy's state. Made before the first round, to see what the rounds change."""

    def __init__(self, strategy: Strategy) -> None:
        self._chain = chain_of(strategy)
        self._at_first = [_unlisted(item) for item in self._chain]

    def capture(self, model: ArrayRecord) -> StrategyState:
        """The state after a round that gave ``model``."""
        encoder = Encoder(model)
        values: dict[str, Any] = {}
        unknown: list[str] = []
        for key, item, at_first in zip(self._keys(), self._chain, self._at_first, strict=True):
            values[key] = {}
            for name, value in _state_of(item).items():
                try:
                    values[key][name] = encoder.encode(value)
                except UnknownValueError:
                    unknown.append(f"{type(item).__name__}.{name}")
            if not isinstance(item, KeepsState):
                now = _unlisted(item)
                changed = [name for name in now if now[name] != at_first.get(name, _ABSENT)]
                unknown += [f"{type(item).__name__}.{name}" for name in sorted(changed)]
        return StrategyState(values, encoder.arrays, unknown)

    def restore(self, state: StrategyState, model: ArrayRecord) -> None:
        """Put a state into the strategy.

        :raises ValueError: it is not the state of such a strategy.
        """
        keys = self._keys()
        if sorted(state.values) != sorted(keys):
            raise ValueError(f"it holds the state of {', '.join(state.values)}")
        for key, item in zip(keys, self._chain, strict=True):
            kept = state.values[key]
            if not isinstance(kept, dict):
                raise ValueError(f"it holds no state of {type(item).__name__}")  # noqa: TRY004 - as all that is malformed
            values = {name: decode(value, state.arrays, model) for name, value in kept.items()}
            if isinstance(item, KeepsState):
                item.restore_state(values)
                continue
            if not set(values) <= set(_listed(item)):
                raise ValueError(f"it holds another state than that of {type(item).__name__}")
            for name, value in values.items():
                setattr(item, name, value)
        self._at_first = [_unlisted(item) for item in self._chain]

    def _keys(self) -> list[str]:
        return [f"{place}:{type(item).__name__}" for place, item in enumerate(self._chain)]


_ABSENT = object()


def _state_of(strategy: Strategy) -> dict[str, Any]:
    if isinstance(strategy, KeepsState):
        return strategy.state_to_keep()
    return {name: getattr(strategy, name, None) for name in _listed(strategy)}


def _listed(strategy: Strategy) -> list[str]:
    """Attributes with state of a strategy of Flower's, or of a class made from one."""
    bases = [base.__name__ for base in type(strategy).__mro__ if base.__module__.startswith("flwr.")]
    return [name for base in bases for name in _KNOWN_STATE.get(base, ())]


def _unlisted(strategy: Strategy) -> dict[str, object]:
    """What can be told of the attributes that are not known: their values, or which object they are."""
    known = {*_listed(strategy), *_SET_ANEW, *_INNER}
    seen: dict[str, object] = {}
    for name, value in vars(strategy).items():
        if name not in known and not callable(value):
            seen[name] = _fingerprint(value)
    return seen


def _fingerprint(value: object) -> object:
    encoder = Encoder(ArrayRecord())
    try:
        encoded = encoder.encode(value)
    except UnknownValueError:
        return _object_print(value)
    return repr(encoded), [(array.dtype.str, array.shape, array.tobytes()) for array in encoder.arrays.values()]


def _object_print(value: object) -> object:
    """Which object it is, and what it holds as far as can be told: generators and counters change inside."""
    generator = getattr(value, "bit_generator", None)
    inside = getattr(value, "__dict__", None) if generator is None else generator.state
    if isinstance(value, random.Random):
        inside = value.getstate()
    return id(value), repr(inside) if inside is not None else repr(value)
