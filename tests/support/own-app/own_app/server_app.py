"""Prints the partitions of all nodes, round after round; then trains, if it is told to."""

import time

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Ask every node in every round."""
    wanted = int(context.run_config["nodes"])
    while len(list(grid.get_node_ids())) < wanted:
        time.sleep(0.5)
    seconds = float(context.run_config["round-seconds"])
    for number in range(1, int(context.run_config["rounds"]) + 1):
        content = RecordDict({"config": ConfigRecord({"seconds": seconds})})
        messages = [Message(content, dst_node_id=node, message_type=MessageType.QUERY) for node in grid.get_node_ids()]
        replies = [reply for reply in grid.send_and_receive(messages, timeout=60) if reply.has_content()]
        partitions = sorted(int(reply.content["answer"]["partition"]) for reply in replies)
        print(f"round {number}: partitions {partitions}", flush=True)
    rounds = int(context.run_config["training-rounds"])
    if rounds > 0:
        train(grid, wanted, rounds)


def train(grid: Grid, nodes: int, rounds: int) -> None:
    """Flower's own strategy and its own loop; nobody keeps the result."""
    strategy = FedAvg(min_train_nodes=nodes, min_evaluate_nodes=nodes, min_available_nodes=nodes)
    start = ArrayRecord({"weights": Array(np.zeros(3, dtype=np.float32))})
    result = strategy.start(grid=grid, initial_arrays=start, num_rounds=rounds, timeout=60)
    for number, metrics in result.evaluate_metrics_clientapp.items():
        print(f"trained round {number}: distance {metrics['distance']}", flush=True)
    print(f"trained weights: {result.arrays['weights'].numpy().tolist()}", flush=True)
