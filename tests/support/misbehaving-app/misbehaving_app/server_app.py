"""Trains three numbers by FedAvg."""

import numpy as np
from flwr.app import Array, ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp

from oneflower.server import Federation

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Begin with zeros."""
    Federation.begin(grid, context).train(ArrayRecord({"w": Array(np.zeros(3, dtype=np.float32))}))
