"""What runs on a node: state its base model, train adapters on its instructions, evaluate on those held out."""

import os

from flwr.app import Context, Message, MetricRecord, MetricRecordValues, RecordDict
from flwr.clientapp import ClientApp

from llm_fine_tuning import training
from llm_fine_tuning.adapters import AdaptedModel
from llm_fine_tuning.base import load_base
from llm_fine_tuning.exchange import BaseFacts, adapters_record, read_adapters, read_config, start_answer
from llm_fine_tuning.instructions import NodeInstructions, read_node_instructions
from llm_fine_tuning.plan import Plan
from oneflower.device import use_device
from oneflower.events import Events
from oneflower.loading import load_and_tell
from oneflower.steps import proximal_mu
from oneflower.versions import VERSIONS_RECORD, versions_record

app = ClientApp()


@app.query()
def describe(message: Message, context: Context) -> Message:
    """State the base model, and the adapters that everyone starts from. A node without instructions says so here."""
    plan = Plan.of_run(context.run_config)
    _instructions(context, plan)
    facts, model = _model(context, plan)
    model.reset(plan.seed)
    return Message(start_answer(facts, model.arrays()), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train the common adapters on this node's instructions."""
    plan = Plan.of_run(context.run_config)
    mine = _instructions(context, plan).train
    facts, model = _model(context, plan)
    server_round = read_config(message.content, facts)
    model.load(read_adapters(message.content))
    loss = training.train(model, mine, plan, server_round, proximal_mu(message.content))
    metrics: dict[str, MetricRecordValues] = {"train_loss": loss, "num-examples": len(mine)}
    content = RecordDict(
        {
            "arrays": adapters_record(model.arrays()),
            "metrics": MetricRecord(metrics),
            VERSIONS_RECORD: versions_record("torch", "transformers", "peft"),
        }
    )
    return Message(content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Evaluate the common adapters on the instructions that this node never trains on."""
    plan = Plan.of_run(context.run_config)
    mine = _instructions(context, plan).held_out
    facts, model = _model(context, plan)
    read_config(message.content, facts)
    model.load(read_adapters(message.content))
    loss, perplexity = training.evaluate(model, mine, plan)
    metrics: dict[str, MetricRecordValues] = {
        "eval_loss": loss,
        "perplexity": perplexity,
        "num-examples": len(mine),
    }
    return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)


def _instructions(context: Context, plan: Plan) -> NodeInstructions:
    def read() -> NodeInstructions:
        return read_node_instructions(context.node_config, os.environ, bundled=plan.bundled)

    return load_and_tell(context, Events.of_run(context.run_id), read)


def _model(context: Context, plan: Plan) -> tuple[BaseFacts, AdaptedModel]:
    base = load_base(plan.model, plan.seed)
    facts = BaseFacts(plan.model, base.fingerprint(), base.parameters)
    return facts, AdaptedModel(base, plan, use_device(context, "pytorch").place)
