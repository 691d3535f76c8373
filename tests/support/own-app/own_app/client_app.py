"""Answers with the partition of the node, and trains weights towards the number of its partition."""

import time

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.query()
def query(message: Message, context: Context) -> Message:
    """Take the time that is asked for, then say which partition this is."""
    time.sleep(float(message.content["config"]["seconds"]))
    answer = ConfigRecord({"partition": int(context.node_config["partition-id"])})
    return Message(RecordDict({"answer": answer}), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Go half the way to what this node wants."""
    weights = message.content["arrays"]["weights"].numpy()
    arrays = ArrayRecord({"weights": Array((weights + target(context)) / 2)})
    return Message(RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 10})}), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Say how far the weights are from what this node wants."""
    distance = float(np.abs(message.content["arrays"]["weights"].numpy() - target(context)).mean())
    return Message(RecordDict({"metrics": MetricRecord({"num-examples": 10, "distance": distance})}), reply_to=message)


def target(context: Context) -> np.float32:
    return np.float32(8 * (int(context.node_config["partition-id"]) + 1))
