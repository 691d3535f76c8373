"""How a node trains in one round, and on which images: read from the run configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from oneflower.image_data import Dataset, ImageRequest
from oneflower.partition import Partitioning, Split
from oneflower.settings import RunConfig
from oneflower.steps import client_step

Framework = Literal["sklearn", "pytorch", "tensorflow"]

# Unless client-lr says otherwise.
_LEARNING_RATES: dict[Framework, float] = {"sklearn": 0.2, "pytorch": 0.02, "tensorflow": 0.02}
# Unless local-epochs says otherwise.
_EPOCHS: dict[Framework, int] = {"sklearn": 3, "pytorch": 1, "tensorflow": 1}
MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class Plan:
    """How a node trains in one round."""

    framework: Framework
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    request: ImageRequest

    @classmethod
    def of_run(cls, run_config: Mapping[str, object]) -> "Plan":
        """The plan that a run's configuration asks for.

        :raises RunConfigError: a value has the wrong type or is out of range.
        """
        config = RunConfig(run_config)
        framework: Framework = config.choice("framework", get_args(Framework), "sklearn")
        seed = config.whole_number("seed", 1, 0, MAX_SEED)
        split = Split(
            partitioning=config.choice("partitioning", get_args(Partitioning), "iid"),
            alpha=config.positive("alpha", 0.5, 1e6),
            seed=seed,
        )
        dataset: Dataset = config.choice("dataset", get_args(Dataset), "auto")
        plan = cls(
            framework=framework,
            epochs=config.whole_number("local-epochs", 0, 0, 1000) or _EPOCHS[framework],
            batch_size=config.whole_number("batch-size", 32, 1, 65536),
            learning_rate=client_step(config, run_config, _LEARNING_RATES[framework]),
            seed=seed,
            request=ImageRequest(
                dataset,
                large=framework != "sklearn",
                split=split,
                most=config.whole_number("max-images", 0, 0, 10**9),
                side=config.whole_number("image-size", 0, 0, 4096),
                classes=_names(run_config.get("classes", "")),
            ),
        )
        config.check()
        return plan


def _names(value: object) -> tuple[str, ...]:
    """Names of classes, parted by commas."""
    return tuple(name.strip() for name in str(value).split(",") if name.strip())
