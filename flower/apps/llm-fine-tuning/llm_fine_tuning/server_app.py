"""What runs beside the SuperLink: ask the nodes for the adapters to start from, then combine those they train.

NumPy is enough: the base model is on the nodes only.
"""

from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp

from llm_fine_tuning.exchange import BaseFacts, adapters_record, agree
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
    """The base model and the adapters to begin with: those of the checkpoint where the run goes on from one."""
    if federation.resumed is None:
        return agree(federation.ask())
    details = federation.resumed.details
    ours = {"model": plan.model, "lora_rank": plan.rank, "seed": plan.seed}
    differences = [
        f"its {key} is {details.get(key)!r}, that of this run {value!r}"
        for key, value in ours.items()
        if details.get(key) != value
    ]
    if differences:
        raise CheckpointRefusedError(federation.resumed.place, differences)
    # Those of a release that sent each layer by itself become other arrays here: such a checkpoint is refused.
    return BaseFacts.of_details(details), adapters_record(federation.resumed.arrays)
