"""What runs beside the SuperLink: agree on the scale of the sensors, then average the nodes' weights."""

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from anomaly_detection.exchange import agree, scale_config, weights_record
from anomaly_detection.plan import NETWORKS, TrainingPlan
from oneflower.server import Federation

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run all rounds and keep the model."""
    plan = TrainingPlan.of_run(context.run_config)
    federation = Federation.begin(grid, context)
    columns, scale = agree(federation.ask())
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
    )
