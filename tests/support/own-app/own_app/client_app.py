"""Answers with the partition of the node."""

import time

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.query()
def query(message: Message, context: Context) -> Message:
    """Take the time that is asked for, then say which partition this is."""
    time.sleep(float(message.content["config"]["seconds"]))
    answer = ConfigRecord({"partition": int(context.node_config["partition-id"])})
    return Message(RecordDict({"answer": answer}), reply_to=message)
