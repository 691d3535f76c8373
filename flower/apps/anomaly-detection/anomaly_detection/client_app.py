"""What runs on a node: state the scale of its sensors, train on its rows, evaluate on those held out."""

from flwr.app import Context, Message, MetricRecord, MetricRecordValues, RecordDict
from flwr.clientapp import ClientApp

from anomaly_detection.exchange import read_config, read_scale, read_weights, scale_answer, weights_record
from anomaly_detection.plan import NETWORKS, TrainingPlan
from anomaly_detection.trainer import trainer_of
from oneflower.data import load_node_data
from oneflower.device import use_device
from oneflower.steps import proximal_mu
from oneflower.versions import VERSIONS_RECORD, versions_record

app = ClientApp()

# The package of each framework, by its name in an index.
PACKAGES = {"sklearn": "scikit-learn", "pytorch": "torch"}


@app.query()
def describe(message: Message, context: Context) -> Message:
    """State the columns, the scale of each, and the number of rows to train on."""
    return Message(scale_answer(load_node_data(context).train), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train the common model on this node's rows."""
    plan = TrainingPlan.of_run(context.run_config)
    use_device(context, plan.framework)
    rows = load_node_data(context).train
    config, server_round = read_config(message.content)
    scaled = read_scale(config, rows.columns).apply(rows.features)
    weights = read_weights(message.content, NETWORKS[plan.framework].ARRAY_NAMES)
    trainer = trainer_of(plan.framework)
    trained = trainer.train(weights, scaled, rows.labels, plan, server_round, proximal_mu(message.content))
    metrics: dict[str, MetricRecordValues] = {
        "train_loss": trainer.loss(trained, scaled, rows.labels),
        "num-examples": trainer.trained_on(rows.labels),
    }
    content = RecordDict(
        {
            "arrays": weights_record(trained),
            "metrics": MetricRecord(metrics),
            VERSIONS_RECORD: versions_record(PACKAGES[plan.framework]),
        }
    )
    return Message(content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Evaluate the common model on the rows that this node never trains on."""
    plan = TrainingPlan.of_run(context.run_config)
    rows = load_node_data(context).held_out
    weights = read_weights(message.content, NETWORKS[plan.framework].ARRAY_NAMES)
    config, _ = read_config(message.content)
    scaled = read_scale(config, rows.columns).apply(rows.features)
    trainer = trainer_of(plan.framework)
    metrics: dict[str, MetricRecordValues] = {
        "roc_auc": trainer.roc_auc(weights, scaled, rows.labels),
        "eval_loss": trainer.loss(weights, scaled, rows.labels),
        "num-examples": len(rows),
    }
    return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)
