"""Differential privacy of nodes: no single node's data shows in the model beyond a stated budget.

Each node's update is shortened to a longest norm, all count alike, and Gaussian noise lies on their mean. Against a
node that sends the model back as it came, any other moves that mean by at most clipping norm / nodes, and the noise
has ``noise_multiplier`` times that as its standard deviation (McMahan et al. 2018, Learning differentially private
recurrent language models; zero-out neighbours: Kairouz et al. 2021, Practical and private deep learning without
sampling or shuffling). That a node takes part, metrics and numbers of examples that nodes state are not covered.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord
from flwr.serverapp.strategy import Bulyan, FedMedian, FedTrimmedAvg, MultiKrum, QFedAvg, Strategy
from numpy.typing import NDArray

from oneflower.privacy_spent import PrivacySpent
from oneflower.replies import EXAMPLES, SentArrays, can_be_checked
from oneflower.settings import RunConfigError, TrainingSettings

# The probability with which the budget may be overstepped.
DELTA = 1e-5
METRIC = "privacy_epsilon"

Arrays = Mapping[str, NDArray[Any]]


def gaussian_epsilon(noise_multiplier: float, releases: int, delta: float = DELTA) -> float:
    """Privacy budget epsilon that ``releases`` noisy means, one or more, each of all nodes, have spent at ``delta``.

    The Gaussian mechanism has Renyi divergence a / (2 z^2) of order a, which adds up over releases (Mironov 2017,
    Renyi differential privacy, proposition 7 and 1). An epsilon at delta follows for every order by theorem 21 of
    Balle et al. 2020 (Hypothesis testing interpretations and Renyi differential privacy); the least one holds.
    """
    return epsilon_of(releases * divergence_rate(noise_multiplier), delta)


def divergence_rate(noise_multiplier: float) -> float:
    """Renyi divergence of one noisy mean, divided by its order."""
    # Divided twice: the square of a tiny multiplier is 0.
    return 1 / 2 / noise_multiplier / noise_multiplier


def epsilon_of(rate: float, delta: float = DELTA) -> float:
    """Privacy budget epsilon at ``delta`` of releases whose Renyi divergence of order a is ``rate`` * a."""
    if rate == 0:
        return 0.0
    # Finely spaced orders above 1, wide enough for budgets from thousandths to millions.
    orders = 1 + np.logspace(-4, 6, 20_001)
    candidates = rate * orders + np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)
    return max(0.0, float(candidates.min()))


def privacy_facts(settings: TrainingSettings) -> dict[str, float]:
    """What the nodes' updates are protected with, for a model card; empty where they are not."""
    norm, multiplier = settings.dp_clipping_norm, settings.dp_noise_multiplier
    if norm == 0:
        return {}
    delta = {"privacy_delta": DELTA} if multiplier > 0 else {}
    return {"privacy_clipping_norm": norm, "privacy_noise_multiplier": multiplier, **delta}


class Privacy:
    """Clipping and noise of one run.

    :param generator: where the noise comes from; of the operating system's randomness unless given.
    """

    def __init__(
        self,
        clipping_norm: float,
        noise_multiplier: float,
        generator: np.random.Generator | None = None,
        spent: PrivacySpent | None = None,
    ) -> None:
        self.clipping_norm = clipping_norm
        self.noise_multiplier = noise_multiplier
        self._generator = generator or np.random.default_rng()
        self._spent = spent or PrivacySpent()

    @classmethod
    def of_settings(
        cls, settings: TrainingSettings, own: Path | None = None, before: Path | None = None
    ) -> "Privacy | None":
        """As the settings of a run ask for; None where they do not.

        :param own: folder of the run's checkpoints, and ``before`` that of the run that it goes on from.
        """
        if settings.dp_clipping_norm == 0:
            return None
        spent = PrivacySpent(own, before) if settings.dp_noise_multiplier > 0 else None
        return cls(settings.dp_clipping_norm, settings.dp_noise_multiplier, spent=spent)

    def check(self, strategy: Strategy) -> None:
        """Refuse a strategy whose model cannot be protected.

        :raises RunConfigError: it does not average arrays, or no mean of all nodes is what it takes.
        """
        name = type(strategy).__name__
        if not can_be_checked(strategy):
            raise RunConfigError([f"dp-clipping-norm is {self.clipping_norm}, but {name} does not average arrays"])
        if self.noise_multiplier == 0:
            return
        noise = f"dp-noise-multiplier is {self.noise_multiplier}, but {name}"
        if isinstance(strategy, MultiKrum | Bulyan | FedMedian | FedTrimmedAvg | QFedAvg):
            raise RunConfigError([f"{noise} takes no mean of all nodes"])
        weight = getattr(strategy, "weighted_by_key", EXAMPLES)
        if weight != EXAMPLES:
            raise RunConfigError([f"{noise} weighs nodes by {weight}: all have to count alike"])

    def protect(self, replies: list[Message], sent: SentArrays) -> None:
        """Shorten the updates in sound replies; with noise, let all count alike and add the same noise to each.

        The mean of what is left is that of the shortened updates with the noise once on it, whichever of the
        strategies that take means goes on from there.
        """
        noise = self._noise(sent.values, len(replies)) if self.noise_multiplier > 0 and replies else None
        for reply in replies:
            for key, record in reply.content.array_records.items():
                arrays = self._clipped(sent.read(record), sent.values)
                if noise is not None:
                    arrays = {name: _plus(array, noise[name]) for name, array in arrays.items()}
                reply.content[key] = ArrayRecord({name: Array(array) for name, array in arrays.items()})
            if noise is not None:
                for key, metrics in reply.content.metric_records.items():
                    reply.content[key] = MetricRecord({**metrics, EXAMPLES: 1})

    def release(self) -> None:
        """Count a model that goes out."""
        if self.noise_multiplier > 0:
            self._spent.add(divergence_rate(self.noise_multiplier))

    def epsilon(self) -> float | None:
        """Budget spent so far; None without noise, or where nothing bounds it."""
        epsilon = epsilon_of(self._spent.rate) if self.noise_multiplier > 0 else math.inf
        return epsilon if math.isfinite(epsilon) else None

    def _clipped(self, trained: Arrays, sent: Arrays) -> Arrays:
        updates = {name: trained[name].astype(np.float64) - sent[name] for name in _moving(sent)}
        norm = math.sqrt(sum(float(np.square(update).sum()) for update in updates.values()))
        factor = min(1.0, self.clipping_norm / norm) if norm > 0 else 1.0
        shortened = {
            name: trained[name] if factor == 1 else _plus(sent[name], update * factor)
            for name, update in updates.items()
        }
        # Whole numbers such as counters can neither be shortened nor bear noise: they stay as they were sent.
        return {name: shortened.get(name, array) for name, array in sent.items()}

    def _noise(self, sent: Arrays, nodes: int) -> Arrays:
        deviation = self.noise_multiplier * self.clipping_norm / nodes
        moving = set(_moving(sent))
        return {
            name: self._generator.normal(0.0, deviation, array.shape) if name in moving else np.zeros(array.shape)
            for name, array in sent.items()
        }


def _moving(arrays: Arrays) -> list[str]:
    return [name for name, array in arrays.items() if array.dtype.kind == "f"]


def _plus(array: NDArray[Any], update: NDArray[Any]) -> NDArray[Any]:
    return np.asarray((array + update).astype(array.dtype))
