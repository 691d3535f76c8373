"""What runs beside the SuperLink: agree on the scale of the sensors, then average the nodes' weights."""

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from anomaly_detection.exchange import ExchangeError, agree, scale_config, weights_record
from anomaly_detection.plan import NETWORKS, TrainingPlan
from anomaly_detection.scaling import Scale
from oneflower.server import Federation

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
    """Columns and scale, by which the weights have their meaning: a run that goes on keeps those that it began with."""
    if federation.resumed is None:
        return agree(federation.ask())
    constants, columns = federation.resumed.constants, federation.resumed.details.get("columns")
    if not isinstance(columns, list) or not {"center", "width"} <= set(constants):
        raise ExchangeError("The checkpoint to go on from does not state the columns and the scale of the sensors")
    return tuple(str(column) for column in columns), Scale(constants["center"], constants["width"])
