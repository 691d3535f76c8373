"""How a node trains in one round, as the run's configuration asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from anomaly_detection import autoencoder, model
from oneflower.settings import RunConfig, RunConfigError
from oneflower.steps import client_step

# The network of each framework that the app has a variant for.
NETWORKS = {"sklearn": model, "pytorch": autoencoder}


@dataclass(frozen=True)
class TrainingPlan:
    """``framework`` is a key of NETWORKS."""

    epochs: int
    learning_rate: float
    hidden_units: int
    seed: int
    framework: str = "sklearn"

    @classmethod
    def of_run(cls, run_config: Mapping[str, object]) -> "TrainingPlan":
        """The plan that a run's configuration asks for.

        :raises RunConfigError: a value has the wrong type or is out of range.
        """
        framework = run_config.get("framework", "sklearn")
        if not isinstance(framework, str) or framework not in NETWORKS:
            known = " or ".join(NETWORKS)
            raise RunConfigError([f"framework is {framework!r}, anomaly-detection runs on {known}"])
        config = RunConfig(run_config)
        plan = cls(
            epochs=config.whole_number("local-epochs", 3, 1, 1000),
            learning_rate=client_step(config, run_config, NETWORKS[framework].LEARNING_RATE),
            hidden_units=config.whole_number("hidden-units", 16, 1, 4096),
            seed=config.whole_number("seed", 1, 0, 2**31 - 1),
            framework=framework,
        )
        config.check()
        return plan


def framework_of(arrays: Mapping[str, NDArray[Any]]) -> str:
    """The framework whose network the arrays are; the first one when they are of none."""
    for framework, network in NETWORKS.items():
        if set(network.ARRAY_NAMES) <= set(arrays):
            return framework
    return next(iter(NETWORKS))
