"""What runs beside the SuperLink: ask the nodes for the adapters to start from, then combine those they train.

NumPy is enough: the base model is on the nodes only.
"""

from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp

from llm_fine_tuning.exchange import BaseFacts, agree
from llm_fine_tuning.plan import Plan
from oneflower.checkpoints.errors import CheckpointRefusedError
from oneflower.server import Federation

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run all rounds and keep the adapters."""
    plan = Plan.of_run(context.run_config)
    federation = Federation.begin(grid, context)
    base, start = _agreed(federation, plan)
    federation.train(
        start,
        train_config=base.config(),
        evaluate_config=base.config(),
        details={
            "app": "llm-fine-tuning",
            "framework": "pytorch",
            "model": base.model,
            "fingerprint": base.fingerprint,
            "parameters": base.parameters,
            "lora_rank": plan.rank,
            "seed": plan.seed,
        },
        best=("eval_loss", "min"),
    )


def _agreed(federation: Federation, plan: Plan) -> tuple[BaseFacts, ArrayRecord]:
    """The nodes' base model, which has to be that of the checkpoint to go on from, and the adapters to begin with."""
    base, start = agree(federation.ask())
    resumed = federation.resumed
    if resumed is None:
        return base, start
    details = resumed.details
    ours = {"model": plan.model, "fingerprint": base.fingerprint, "lora_rank": plan.rank, "seed": plan.seed}
    differences = [
        f"its {key} is {details.get(key)!r:.100}, that of this run {value!r:.100}"
        for key, value in ours.items()
        if details.get(key) != value
    ]
    if differences:
        raise CheckpointRefusedError(resumed.place, differences)
    # Those of a release that sent each layer by itself are other arrays than these: such a checkpoint is refused.
    return base, start
