"""What runs on a node: state what images it holds, train on them, evaluate on those held out."""

from flwr.app import Context, Message, MetricRecord, MetricRecordValues, RecordDict
from flwr.clientapp import ClientApp

from image_classification.exchange import arrays_record, read_arrays, read_config, start_answer
from image_classification.plan import Plan
from image_classification.variant import PACKAGES, Step, Task, check_arrays, variant_of
from oneflower.device import use_device
from oneflower.image_data import load_node_images
from oneflower.steps import proximal_mu
from oneflower.versions import VERSIONS_RECORD, versions_record

app = ClientApp()


@app.query()
def describe(message: Message, context: Context) -> Message:
    """State shape and classes of the images, and the arrays to start from: the same on every node."""
    plan = Plan.of_run(context.run_config)
    task = Task.of_images(load_node_images(context, plan.request).train)
    start = variant_of(plan.framework).initial_arrays(task, plan.seed)
    return Message(start_answer(task, start), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train the common model on this node's images."""
    plan = Plan.of_run(context.run_config)
    use_device(context, plan.framework)
    mine = load_node_images(context, plan.request)
    task = Task.of_images(mine.train)
    server_round = read_config(message.content, task)
    variant = variant_of(plan.framework)
    arrays = check_arrays(read_arrays(message.content), variant.initial_arrays(task, plan.seed))
    trained, loss = variant.train(
        arrays, mine.train, plan, Step(server_round, mine.partition, proximal_mu(message.content))
    )
    metrics: dict[str, MetricRecordValues] = {"train_loss": loss, "num-examples": len(mine.train)}
    content = RecordDict(
        {
            "arrays": arrays_record(trained),
            "metrics": MetricRecord(metrics),
            VERSIONS_RECORD: versions_record(*PACKAGES[plan.framework]),
        }
    )
    return Message(content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Evaluate the common model on the images that this node never trains on."""
    plan = Plan.of_run(context.run_config)
    mine = load_node_images(context, plan.request)
    task = Task.of_images(mine.train)
    read_config(message.content, task)
    variant = variant_of(plan.framework)
    arrays = check_arrays(read_arrays(message.content), variant.initial_arrays(task, plan.seed))
    quality = variant.evaluate(arrays, mine.held_out)
    metrics: dict[str, MetricRecordValues] = {
        "accuracy": quality.accuracy,
        "eval_loss": quality.loss,
        "num-examples": len(mine.held_out),
    }
    return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)
