"""What a run is asked to do, read from Flower's run configuration."""

import math
from collections.abc import Mapping
from dataclasses import dataclass


class RunConfigError(Exception):
    """The run configuration holds values that cannot be used; all of them are named."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("The run configuration cannot be used: " + "; ".join(problems))


class RunConfig:
    """Typed, checked reading of a run configuration; ``check`` raises for all bad values at once."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self._problems: list[str] = []

    def whole_number(self, key: str, default: int, least: int, most: int) -> int:
        """The value of a key as a whole number from ``least`` to ``most``."""
        value = self._values.get(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self._problems.append(f"{key} is {value!r}, a whole number from {least} to {most} is wanted")
        return default

    def positive(self, key: str, default: float, most: float) -> float:
        """The value of a key as a number above 0 and at most ``most``."""
        value = self._values.get(key, default)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(value, int | float) and is_number and math.isfinite(value) and 0 < value <= most:
            return float(value)
        self._problems.append(f"{key} is {value!r}, a number above 0 and at most {most} is wanted")
        return default

    def check(self) -> None:
        """Raise when any value read so far was bad.

        :raises RunConfigError: with every such value.
        """
        if self._problems:
            raise RunConfigError(self._problems)


@dataclass(frozen=True)
class TrainingSettings:
    """How long to train and with how many nodes; the keys are those that the agent submits runs with."""

    num_rounds: int
    min_train_nodes: int
    min_evaluate_nodes: int
    min_available_nodes: int

    @classmethod
    def of_run(cls, run_config: Mapping[str, object]) -> "TrainingSettings":
        """Settings of a run; keys that the app does not declare have their defaults.

        :raises RunConfigError: a value has the wrong type or is out of range.
        """
        config = RunConfig(run_config)
        settings = cls(
            num_rounds=config.whole_number("num-server-rounds", 3, 1, 100_000),
            min_train_nodes=config.whole_number("min-fit-clients", 2, 1, 100_000),
            min_evaluate_nodes=config.whole_number("min-evaluate-clients", 2, 1, 100_000),
            min_available_nodes=config.whole_number("min-available-clients", 2, 1, 100_000),
        )
        config.check()
        return settings

    @property
    def nodes_to_begin(self) -> int:
        """Nodes that must be online before a round begins."""
        return max(self.min_train_nodes, self.min_evaluate_nodes, self.min_available_nodes)
