"""What runs beside the SuperLink: agree on the scale of the sensors, then average the nodes' weights."""

from itertools import zip_longest

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from anomaly_detection.exchange import ExchangeError, agree, scale_config, weights_record
from anomaly_detection.plan import NETWORKS, TrainingPlan
from anomaly_detection.scaling import Scale
from oneflower.server import CheckpointRefusedError, Federation
from oneflower.text import quoted

MOST_DIFFERENCES = 3

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run all rounds and keep the model."""
    plan = TrainingPlan.of_run(context.run_config)
    federation = Federation.begin(grid, context)
    columns, scale = _agreed(federation)
    federation.train(
        weights_record(NETWORKS[plan.framework].initial_weights(len(columns), plan)),
        train_config=scale_config(columns, scale),
        evaluate_config=scale_config(columns, scale),
        constants={"center": scale.center, "width": scale.width},
        details={
            "app": "anomaly-detection",
            "framework": plan.framework,
            "columns": list(columns),
            "activation": "tanh",
        },
        best=("roc_auc", "max"),
    )


def _agreed(federation: Federation) -> tuple[tuple[str, ...], Scale]:
    """Columns and scale, by which the weights have their meaning: a run that goes on keeps the scale it began with."""
    columns, scale = agree(federation.ask())
    resumed = federation.resumed
    if resumed is None:
        return columns, scale
    constants, theirs = resumed.constants, resumed.details.get("columns")
    if not isinstance(theirs, list) or not {"center", "width"} <= set(constants):
        raise ExchangeError("The checkpoint to go on from does not state the columns and the scale of the sensors")
    differences = [
        f"its column {place} is {quoted(str(its))}, that of the nodes {quoted(ours)}"
        for place, (its, ours) in enumerate(zip_longest(theirs, columns, fillvalue=""), start=1)
        if its != ours
    ]
    if differences:
        raise CheckpointRefusedError(resumed.place, differences[:MOST_DIFFERENCES])
    return columns, Scale(constants["center"], constants["width"])
