"""What a zygote has imported: Flower's runner of the program, and what apps of the node's framework import."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

FRAMEWORK_VARIABLE = "ONEFLOWER_FRAMEWORK"
USE_CASE_VARIABLE = "ONEFLOWER_USE_CASE"


@dataclass(frozen=True)
class Program:
    """An app program of Flower's: where its entry is, and what its apps import whatever their framework."""

    module: str
    entry: str
    modules: tuple[str, ...]


# What Flower's runners import only on their way: the HTTP client's parts, and the names of files in an archive.
AT_RUN_TIME = ("h11", "httpcore", "encodings.cp437")
PROGRAMS: Mapping[str, Program] = {
    "flwr-clientapp": Program(
        "flwr.supernode.cli.flwr_clientapp",
        "flwr_clientapp",
        (*AT_RUN_TIME, "flwr.clientapp", "numpy", "oneflower.data", "oneflower.events", "oneflower.settings"),
    ),
    "flwr-serverapp": Program(
        "flwr.superlink.cli.flwr_serverapp",
        "flwr_serverapp",
        (*AT_RUN_TIME, "flwr.serverapp", "flwr.serverapp.strategy", "numpy", "oneflower.server", "oneflower.rows"),
    ),
}
# Importing touches no device: that is left to the apps, one process for each message.
FRAMEWORKS: Mapping[str, tuple[str, ...]] = {
    "sklearn": ("sklearn.linear_model", "sklearn.neural_network", "sklearn.metrics", "sklearn.preprocessing"),
    "pytorch": ("torch", "torch.nn.functional", "torch.optim", "torch.utils.data", "sklearn.metrics"),
    "tensorflow": ("tensorflow", "keras", "sklearn.metrics"),
}
USE_CASES: Mapping[str, tuple[str, ...]] = {"llm-fine-tuning": ("transformers", "peft")}


def wanted_modules(program: str, environment: Mapping[str, str]) -> list[str]:
    """The modules of a program in an environment. A ServerApp needs no framework."""
    names = list(PROGRAMS[program].modules)
    if program == "flwr-clientapp":
        names += FRAMEWORKS.get(environment.get(FRAMEWORK_VARIABLE, ""), ())
        names += USE_CASES.get(environment.get(USE_CASE_VARIABLE, ""), ())
    return names


def import_runner(program: str) -> Callable[[], None]:
    """Flower's own entry of a program.

    :raises ImportError: this Flower has none.
    """
    known = PROGRAMS[program]
    entry = getattr(importlib.import_module(known.module), known.entry, None)
    if not callable(entry):
        raise ImportError(f"{known.module} has no {known.entry}")  # noqa: TRY004 - as if it could not be imported
    run: Callable[[], None] = entry
    return run


def import_all(names: list[str]) -> list[str]:
    """Import what can be imported. Returns the names of what could be; an app that needs the rest says so itself."""
    imported: list[str] = []
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: S112 - a broken package raises whatever it likes
            continue
        imported.append(name)
    return imported
