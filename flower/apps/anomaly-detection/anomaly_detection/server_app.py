"""What runs beside the SuperLink: agree on the scale of the sensors, then average the nodes' weights."""

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from anomaly_detection import model
from anomaly_detection.exchange import agree, scale_config, weights_record
from oneflower.server import Federation

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run all rounds and keep the model."""
    plan = model.TrainingPlan.of_run(context.run_config)
    federation = Federation.begin(grid, context)
    columns, scale = agree(federation.ask())
    federation.train(
        weights_record(model.initial_weights(len(columns), plan)),
        train_config=scale_config(columns, scale),
        evaluate_config=scale_config(columns, scale),
        constants={"center": scale.center, "width": scale.width},
        details={"app": "anomaly-detection", "columns": list(columns), "activation": "tanh"},
    )
