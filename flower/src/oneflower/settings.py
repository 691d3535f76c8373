"""What a run is asked to do, read from Flower's run configuration."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeVar

Option = TypeVar("Option", bound=str)


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
        self._refuse(key, f"a whole number from {least} to {most}")
        return default

    def number(self, key: str, default: float, least: float, most: float) -> float:
        """The value of a key as a number from ``least`` to ``most``; a whole number will do."""
        value = self._finite(key, default)
        if value is not None and least <= value <= most:
            return value
        self._refuse(key, f"a number from {least:g} to {most:g}")
        return default

    def positive(self, key: str, default: float, most: float) -> float:
        """The value of a key as a number above 0 and at most ``most``."""
        value = self._finite(key, default)
        if value is not None and 0 < value <= most:
            return value
        self._refuse(key, f"a number above 0 and at most {most}")
        return default

    def between(self, key: str, default: float, above: float, below: float) -> float:
        """The value of a key as a number above ``above`` and below ``below``."""
        value = self._finite(key, default)
        if value is not None and above < value < below:
            return value
        self._refuse(key, f"a number above {above:g} and below {below:g}")
        return default

    def yes_no(self, key: str, *, default: bool) -> bool:
        """The value of a key as true or false."""
        value = self._values.get(key, default)
        if isinstance(value, bool):
            return value
        self._refuse(key, "true or false")
        return default

    def text(self, key: str, default: str) -> str:
        """The value of a key as text."""
        value = self._values.get(key, default)
        if isinstance(value, str):
            return value
        self._refuse(key, "text")
        return default

    def choice(self, key: str, options: Sequence[Option], default: Option) -> Option:
        """The value of a key as one of ``options``."""
        value = self._values.get(key, default)
        for option in options:
            if option == value:
                return option
        self._refuse(key, f"one of {', '.join(options)}")
        return default

    def refuse(self, problem: str) -> None:
        """Remember that values cannot be used together."""
        self._problems.append(problem)

    @property
    def is_sound(self) -> bool:
        """Whether every value read so far could be used."""
        return not self._problems

    def check(self) -> None:
        """Raise when any value read so far was bad.

        :raises RunConfigError: with every such value.
        """
        if self._problems:
            raise RunConfigError(self._problems)

    def _finite(self, key: str, default: float) -> float | None:
        value = self._values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        try:
            return float(value) if math.isfinite(value) else None
        except OverflowError:
            return None

    def _refuse(self, key: str, wanted: str) -> None:
        self._problems.append(f"{key} is {self._values.get(key)!r}, {wanted} is wanted")


# Seconds after which Flower's messages expire, and a round with them: DEFAULT_TTL of flwr/app/constants.py.
LONGEST_ROUND = 43_200
# Names of strategies, those of FL_STRATEGY.
STRATEGIES = (
    "FedAvg",
    "FedProx",
    "FedAdam",
    "FedMedian",
    "FedTrimmedAvg",
    "Krum",
    "MultiKrum",
    "Bulyan",
    "FaultTolerantFedAvg",
)
# Those that take the mean of the nodes' models: noise on a mean is what a privacy budget can be told for.
MEANS = ("FedAvg", "FedProx", "FedAdam", "FaultTolerantFedAvg")
# Keys that only some strategies use.
STRATEGY_KEYS: Mapping[str, tuple[str, ...]] = {
    "proximal-mu": ("FedProx",),
    "server-lr": ("FedAdam",),
    "num-malicious": ("Krum", "MultiKrum", "Bulyan"),
    "num-selected": ("MultiKrum",),
    "trim-beta": ("FedTrimmedAvg",),
    "completion-rate": ("FaultTolerantFedAvg",),
}


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How to train and with how many nodes; the keys are those that the agent submits runs with.

    ``client_lr`` and ``dp_clipping_norm`` are 0 when they are not given; ``round_timeout`` is in seconds;
    ``resume_from`` names the checkpoint to go on from, or is empty.
    """

    num_rounds: int = 3
    min_train_nodes: int = 2
    min_evaluate_nodes: int = 2
    min_available_nodes: int = 2
    strategy: str = "FedAvg"
    proximal_mu: float = 1.0
    server_lr: float = 0.1
    client_lr: float = 0.0
    num_malicious: int = 0
    num_selected: int = 0
    trim_beta: float = 0.2
    completion_rate: float = 0.5
    round_timeout: int = 3600
    dp_clipping_norm: float = 0.0
    dp_noise_multiplier: float = 0.0
    stop_on_nan: bool = True
    checkpoint_enabled: bool = True
    checkpoint_interval: int = 5
    checkpoint_keep: int = 3
    resume_from: str = ""

    @classmethod
    def of_run(cls, run_config: Mapping[str, object]) -> "TrainingSettings":
        """Settings of a run; keys that the app does not declare have their defaults.

        :raises RunConfigError: a value has the wrong type or is out of range, or values do not go together.
        """
        config = RunConfig(run_config)
        settings = cls(
            num_rounds=config.whole_number("num-server-rounds", cls.num_rounds, 1, 100_000),
            min_train_nodes=config.whole_number("min-fit-clients", cls.min_train_nodes, 1, 100_000),
            min_evaluate_nodes=config.whole_number("min-evaluate-clients", cls.min_evaluate_nodes, 1, 100_000),
            min_available_nodes=config.whole_number("min-available-clients", cls.min_available_nodes, 1, 100_000),
            strategy=config.choice("strategy", STRATEGIES, cls.strategy),
            proximal_mu=config.number("proximal-mu", cls.proximal_mu, 0, 1000),
            server_lr=config.positive("server-lr", cls.server_lr, 100),
            client_lr=config.number("client-lr", cls.client_lr, 0, 100),
            num_malicious=config.whole_number("num-malicious", cls.num_malicious, 0, 10_000),
            num_selected=config.whole_number("num-selected", cls.num_selected, 0, 10_000),
            trim_beta=config.between("trim-beta", cls.trim_beta, 0, 0.5),
            completion_rate=config.positive("completion-rate", cls.completion_rate, 1),
            round_timeout=config.whole_number("round-timeout", cls.round_timeout, 1, LONGEST_ROUND),
            dp_clipping_norm=config.number("dp-clipping-norm", cls.dp_clipping_norm, 0, 1_000_000),
            dp_noise_multiplier=config.number("dp-noise-multiplier", cls.dp_noise_multiplier, 0, 1000),
            stop_on_nan=config.yes_no("stop-on-nan", default=cls.stop_on_nan),
            checkpoint_enabled=config.yes_no("checkpoint-enabled", default=cls.checkpoint_enabled),
            checkpoint_interval=config.whole_number("checkpoint-interval", cls.checkpoint_interval, 1, 10_000),
            checkpoint_keep=config.whole_number("checkpoint-keep", cls.checkpoint_keep, 1, 10_000),
            resume_from=config.text("resume-from", cls.resume_from),
        )
        if config.is_sound:
            for problem in settings.contradictions():
                config.refuse(problem)
        config.check()
        return settings

    @property
    def nodes_to_begin(self) -> int:
        """Nodes that must be online before a round begins."""
        return self._largest_minimum[1]

    @property
    def _largest_minimum(self) -> tuple[str, int]:
        """The key that asks for most nodes, and how many."""
        minima = {
            "min-available-clients": self.min_available_nodes,
            "min-fit-clients": self.min_train_nodes,
            "min-evaluate-clients": self.min_evaluate_nodes,
        }
        return max(minima.items(), key=itemgetter(1))

    def contradictions(self) -> list[str]:
        """What makes the strategy unable to do its work, with the nodes that a round begins with."""
        found: list[str] = []
        (minimum, nodes), malicious = self._largest_minimum, self.num_malicious
        wanted = least_replies(self.strategy, malicious)
        # With no attacker expected Krum picks among two as well.
        if nodes < wanted and (malicious > 0 or self.strategy == "Bulyan"):
            found.append(
                f"{self.strategy} with num-malicious={malicious} wants at least {wanted} nodes, {minimum} is {nodes}"
            )
        if self.strategy == "MultiKrum" and self.num_selected > nodes - malicious:
            found.append(
                f"num-selected is {self.num_selected}, {nodes - malicious} nodes are left without malicious ones"
            )
        if self.dp_noise_multiplier > 0 and self.dp_clipping_norm == 0:
            found.append(f"dp-noise-multiplier is {self.dp_noise_multiplier}, but dp-clipping-norm is not given")
        if self.dp_noise_multiplier > 0 and self.strategy not in MEANS:
            found.append(
                f"dp-noise-multiplier is {self.dp_noise_multiplier}, but {self.strategy} takes no mean of all nodes: "
                f"its noise would hide no node. Those that do are {', '.join(MEANS)}"
            )
        return found

    def doubts(self, run_config: Mapping[str, object]) -> list[str]:
        """What works, but not as its name promises, and values that are set but not used."""
        found = [
            f"{key}={run_config[key]} is set, but {self.strategy} does not use it"
            for key, users in STRATEGY_KEYS.items()
            if self.strategy not in users and key in run_config and run_config[key] != _default_of(key)
        ]
        nodes = self.nodes_to_begin
        if nodes < least_replies(self.strategy, self.num_malicious):
            found.append(f"{self.strategy} chooses little among {nodes} nodes: it wants 3")
        if self.strategy == "FedTrimmedAvg" and int(self.trim_beta * nodes) == 0:
            found.append(f"trim-beta={self.trim_beta} trims nobody among {nodes} nodes")
        return found


def least_replies(strategy: str, malicious: int) -> int:
    """Fewest replies with which a strategy stands ``malicious`` nodes: Blanchard et al. 2017, El Mhamdi et al. 2018."""
    if strategy == "Bulyan":
        return 4 * malicious + 3
    return 2 * malicious + 3 if strategy in ("Krum", "MultiKrum") else 1


def _default_of(key: str) -> object:
    return getattr(TrainingSettings, key.replace("-", "_"))
