"""What runs on a node: state the scale of its sensors, train on its rows, evaluate on those held out."""

from flwr.app import Context, Message, MetricRecord, MetricRecordValues, RecordDict
from flwr.clientapp import ClientApp

from anomaly_detection import model, training
from anomaly_detection.exchange import read_config, read_scale, read_weights, scale_answer, weights_record
from oneflower.data import load_node_data
from oneflower.device import use_device
from oneflower.steps import proximal_mu

app = ClientApp()


@app.query()
def describe(message: Message, context: Context) -> Message:
    """State the columns, the scale of each, and the number of rows to train on."""
    return Message(scale_answer(load_node_data(context).train), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train the common model on this node's rows."""
    use_device(context, "sklearn")
    rows = load_node_data(context).train
    plan = model.TrainingPlan.of_run(context.run_config)
    config, server_round = read_config(message.content)
    scaled = read_scale(config, rows.columns).apply(rows.features)
    mu = proximal_mu(message.content)
    trained = training.train(read_weights(message.content), scaled, rows.labels, plan, server_round, mu)
    metrics: dict[str, MetricRecordValues] = {
        "train_loss": training.loss(trained, scaled, rows.labels),
        "num-examples": len(rows),
    }
    content = RecordDict({"arrays": weights_record(trained), "metrics": MetricRecord(metrics)})
    return Message(content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Evaluate the common model on the rows that this node never trains on."""
    rows = load_node_data(context).held_out
    weights = read_weights(message.content)
    config, _ = read_config(message.content)
    scaled = read_scale(config, rows.columns).apply(rows.features)
    metrics: dict[str, MetricRecordValues] = {
        "roc_auc": training.roc_auc(weights, scaled, rows.labels),
        "eval_loss": training.loss(weights, scaled, rows.labels),
        "num-examples": len(rows),
    }
    return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)
