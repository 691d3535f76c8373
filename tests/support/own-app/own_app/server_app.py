"""Prints the partitions of all nodes, round after round."""

import time

from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp

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
