"""What runs beside the SuperLink: ask the nodes for the adapters to start from, then combine those they train.

NumPy is enough: the base model is on the nodes only.
"""

from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp

from llm_fine_tuning.exchange import BaseFacts, adapters_record, agree
from llm_fine_tuning.plan import Plan
from oneflower.server import Federation

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run all rounds and keep the adapters."""
    plan = Plan.of_run(context.run_config)
    federation = Federation.begin(grid, context)
    base, start = _agreed(federation)
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


def _agreed(federation: Federation) -> tuple[BaseFacts, ArrayRecord]:
    """The base model and the adapters to begin with: those of the checkpoint where the run goes on from one."""
    if federation.resumed is None:
        return agree(federation.ask())
    base = BaseFacts.of_details(federation.resumed.details)
    return base, adapters_record(federation.resumed.arrays)
