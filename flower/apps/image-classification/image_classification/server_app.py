"""What runs beside the SuperLink: ask the nodes for the start, then combine what they send. NumPy is enough."""

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from image_classification.exchange import agree, check_resumed, task_config
from image_classification.plan import Plan
from oneflower.server import Federation

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run all rounds and keep the model."""
    plan = Plan.of_run(context.run_config)
    federation = Federation.begin(grid, context)
    task, start = agree(federation.ask())
    if federation.resumed is not None:
        check_resumed(federation.resumed.details, task)
    federation.train(
        start,
        train_config=task_config(task),
        evaluate_config=task_config(task),
        details={
            "app": "image-classification",
            "framework": plan.framework,
            "shape": list(task.shape),
            "classes": list(task.classes),
        },
        best=("accuracy", "max"),
    )
