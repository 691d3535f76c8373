"""What is replaced in the memory of a process of Flower's, after a look at whether it is what it was taken for."""

import importlib
import time
from collections.abc import Callable
from types import CodeType, ModuleType
from typing import Any

# Releases whose waits were read.
KNOWN_RELEASES = ("1.41.", "1.42.")
PULLS = "flwr.supercore.inflatable.inflatable_utils"
# Seconds until an object that is not there yet is asked for again, doubled up to Flower's own limit (its own: 1 s).
FIRST_PULL_AGAIN = 0.05


class UnknownFlowerError(Exception):
    """Flower is not as it was when its waits were read."""


def check_release() -> None:
    """Make sure of the release.

    :raises UnknownFlowerError: another one than those that were read.
    """
    version = str(getattr(module_of("flwr.supercore.version"), "package_version", ""))
    if not version.startswith(KNOWN_RELEASES):
        raise UnknownFlowerError(f"the waits of Flower {version} are not known")


def module_of(name: str) -> ModuleType:
    """A module of Flower's.

    :raises UnknownFlowerError: there is none.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UnknownFlowerError(f"Flower has no module {name}") from error


def function_of(owner: object, name: str, constants: tuple[float, ...] = ()) -> Callable[..., Any]:
    """A function by its name in which these numbers stand, the waits that are replaced among them.

    :raises UnknownFlowerError: it is not there, or waits otherwise.
    """
    found = getattr(owner, name, None)
    code = getattr(found, "__code__", None)
    if found is None or not isinstance(code, CodeType):
        raise UnknownFlowerError(f"Flower has no function {name} where it was")
    if not set(constants) <= {constant for constant in code.co_consts if isinstance(constant, int | float)}:
        raise UnknownFlowerError(f"Flower's {name} waits otherwise than it did")
    function: Callable[..., Any] = found
    return function


def type_of(module: ModuleType, name: str) -> type:
    """A class that a module knows by its name.

    :raises UnknownFlowerError: it does not.
    """
    found = getattr(module, name, None)
    if not isinstance(found, type):
        raise UnknownFlowerError(f"{module.__name__} has no {name}")
    return found


def expect_time(module: ModuleType) -> None:
    """Make sure that a module sleeps by the module ``time``.

    :raises UnknownFlowerError: it does not.
    """
    if getattr(module, "time", None) is not time:
        raise UnknownFlowerError(f"{module.__name__} does not use the module time as it did")


def pulls_of_objects() -> Callable[[], None]:
    """What shortens the first waits for objects whose message is there before them.

    :raises UnknownFlowerError: Flower pulls otherwise.
    """
    pull = function_of(module_of(PULLS), "pull_objects")
    defaults = pull.__kwdefaults__ or {}
    if defaults.get("initial_backoff") not in (1, FIRST_PULL_AGAIN):
        raise UnknownFlowerError("Flower pulls objects otherwise than it did")

    def shorten() -> None:
        pull.__kwdefaults__ = {**defaults, "initial_backoff": FIRST_PULL_AGAIN}

    return shorten
