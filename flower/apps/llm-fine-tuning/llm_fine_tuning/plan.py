"""How a node fine-tunes in one round, as the run's configuration asks."""

from collections.abc import Mapping
from dataclasses import dataclass

from oneflower.settings import RunConfig
from oneflower.steps import client_step

# Step of AdamW on adapters unless client-lr says otherwise.
LEARNING_RATE = 1e-3
SMOLLM2 = "smollm2-135m"
TINY = "tiny"


@dataclass(frozen=True)
class Plan:
    """``model`` is the base: SMOLLM2, TINY, or a folder's path; ``max_length`` counts tokens."""

    model: str
    steps: int
    batch_size: int
    learning_rate: float
    rank: int
    max_length: int
    bundled: bool
    seed: int

    @classmethod
    def of_run(cls, run_config: Mapping[str, object]) -> "Plan":
        """The plan that a run's configuration asks for.

        :raises RunConfigError: a value has the wrong type or is out of range.
        """
        config = RunConfig(run_config)
        config.choice("framework", ("pytorch",), "pytorch")
        plan = cls(
            model=config.text("model", SMOLLM2),
            steps=config.whole_number("local-steps", 10, 1, 100_000),
            batch_size=config.whole_number("batch-size", 4, 1, 1024),
            learning_rate=client_step(config, run_config, LEARNING_RATE),
            rank=config.whole_number("lora-rank", 8, 1, 256),
            max_length=config.whole_number("max-length", 256, 16, 32_768),
            bundled=config.yes_no("bundled-data", default=True),
            seed=config.whole_number("seed", 1, 0, 2**31 - 1),
        )
        if plan.model not in (SMOLLM2, TINY) and not plan.model.startswith("/"):
            config.refuse(f"model is {plan.model!r}: {SMOLLM2}, {TINY} or the absolute path of a folder is wanted")
        config.check()
        return plan
