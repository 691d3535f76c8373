"""Adds one to each number, unless it is told to misbehave in this round."""

import time

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()

# Longer than any test takes.
LONG = 3600


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train, or do what is asked instead."""
    number, partition = message.content["config"]["server-round"], context.node_config["partition-id"]
    asked = dict(pair.split("=") for pair in str(context.run_config["misbehave"]).split())
    how = asked.get(f"{number}.{partition}")
    time.sleep(float(context.run_config["round-seconds"]))
    if how == "hang":
        time.sleep(LONG)
    if how == "raise":
        raise ValueError("a bad day")
    weights = message.content["arrays"]["w"].numpy() + np.float32(1)
    if how == "nan":
        weights[1] = np.nan
    if how == "shape":
        weights = weights[:2]
    arrays = ArrayRecord({"v" if how == "names" else "w": Array(weights)})
    examples, loss = 0 if how == "empty" else 10, np.nan if how == "loss" else 1 / number
    metrics = MetricRecord({"num-examples": examples, "train_loss": loss})
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Say a loss."""
    return Message(RecordDict({"metrics": MetricRecord({"num-examples": 10, "eval_loss": 0.5})}), reply_to=message)
