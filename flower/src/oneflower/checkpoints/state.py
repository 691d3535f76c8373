"""What a strategy carries from one round to the next besides the model: moments, momentum, clipping norms.

Flower's strategies keep it in attributes, which are known here by name. A strategy of an app's own says it by the two
methods of ``KeepsState``; one that does not is resumed with its arrays, and the attributes that are lost are named.
"""

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
        for place, item in enumerate(self._chain):
            prefix = f"{place}:{type(item).__name__}"
            if isinstance(item, KeepsState):
                values[prefix] = encoder.encode(item.state_to_keep())
                continue
            kept: dict[str, Any] = {}
            for name in _listed(item):
                kept[name] = encoder.encode(getattr(item, name, None))
            values[prefix] = kept
            now = _unlisted(item)
            changed = [name for name in now if now[name] != self._at_first[place].get(name, _ABSENT)]
            unknown += [f"{type(item).__name__}.{name}" for name in sorted(changed)]
        return StrategyState(values, encoder.arrays, unknown)

    def restore(self, state: StrategyState, model: ArrayRecord) -> None:
        """Put a state into the strategy.

        :raises ValueError: it is not the state of such a strategy.
        """
        wanted = [f"{place}:{type(item).__name__}" for place, item in enumerate(self._chain)]
        if sorted(state.values) != sorted(wanted):
            raise ValueError(f"it holds the state of {', '.join(state.values)}")
        for key, item in zip(wanted, self._chain, strict=True):
            kept = state.values[key]
            if isinstance(item, KeepsState):
                item.restore_state(decode(kept, state.arrays, model))
                continue
            if not isinstance(kept, dict) or set(kept) != set(_listed(item)):
                raise ValueError(f"it holds no state of {type(item).__name__}")
            for name, value in kept.items():
                setattr(item, name, decode(value, state.arrays, model))
        self._at_first = [_unlisted(item) for item in self._chain]


_ABSENT = object()


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
    """Which object it is, and what its own attributes hold: a generator or counter changes inside."""
    inside = getattr(value, "__dict__", None)
    return id(value), repr(sorted(inside.items(), key=lambda item: item[0])) if inside else repr(value)
