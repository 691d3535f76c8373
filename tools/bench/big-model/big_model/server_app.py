"""Sends a model of the configured size to every node and averages what comes back."""

import numpy as np
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the configured number of rounds without evaluation."""
    config = context.run_config
    nodes = int(config["nodes"])
    parts = int(config["megabytes"]) // 10
    generator = np.random.default_rng(0)
    arrays = [generator.random(10 * 2**20 // 4, dtype=np.float32) for _ in range(parts)]
    strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=nodes, min_available_nodes=nodes)
    strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(arrays),
        num_rounds=int(config["num-server-rounds"]),
    )
