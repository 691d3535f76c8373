import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from llm_fine_tuning import training
from llm_fine_tuning.adapters import AdaptedModel, AdapterError, Adapters
from llm_fine_tuning.base import Base, load_base, main
from llm_fine_tuning.instructions import Instruction, read_node_instructions
from llm_fine_tuning.plan import SMOLLM2, Plan

CONFIG = {"framework": "pytorch", "model": "tiny", "lora-rank": 2, "client-lr": 0.01}
PLAN = Plan.of_run(CONFIG)
ROWS = tuple(Instruction(f"What is {n} plus 1?", f"It is {n + 1}.") for n in range(12))


def tiny(plan: Plan = PLAN) -> AdaptedModel:
    model = AdaptedModel(load_base("tiny", plan.seed), plan)
    model.reset(plan.seed)
    return model


def distance(one: Adapters, other: Adapters) -> float:
    return math.sqrt(sum(float(((one[name] - other[name]) ** 2).sum()) for name in one))


def trained(plan: Plan, mu: float = 0.0, server_round: int = 1) -> Adapters:
    model = tiny(plan)
    training.train(model, ROWS, plan, server_round, mu)
    return model.arrays()


def test_two_nodes_learn_in_three_rounds_what_neither_was_shown() -> None:
    shares = [
        read_node_instructions({"partition-id": place, "num-partitions": 2}, {}, bundled=True) for place in range(2)
    ]
    model = tiny()
    common = model.arrays()
    losses = [np.mean([training.evaluate(model, share.held_out, PLAN)[0] for share in shares])]
    for server_round in (1, 2, 3):
        answers = []
        for share in shares:
            model.load(common)
            training.train(model, share.train, PLAN, server_round)
            answers.append(model.arrays())
        common = {name: np.mean([answer[name] for answer in answers], axis=0) for name in common}
        model.load(common)
        losses.append(np.mean([training.evaluate(model, share.held_out, PLAN)[0] for share in shares]))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.65 * losses[0]


def test_only_adapters_travel_and_they_are_a_small_share() -> None:
    model = tiny()
    arrays = model.arrays()
    assert all(".lora_A." in name or ".lora_B." in name for name in arrays)
    assert all(array.dtype == np.float32 for array in arrays.values())
    assert sum(array.nbytes for array in arrays.values()) < 0.03 * 4 * model.base_parameters


def test_training_leaves_the_base_as_it_was() -> None:
    base = load_base("tiny", 1)
    before = base.fingerprint(), {name: value.clone() for name, value in base.model.state_dict().items()}
    model = AdaptedModel(base, PLAN)
    model.reset(1)
    training.train(model, ROWS, PLAN, 1)
    assert distance(model.arrays(), tiny().arrays()) > 0
    now = {name.replace("base_layer.", ""): value for name, value in base.model.state_dict().items()}
    assert all(torch.equal(now[name], value) for name, value in before[1].items())
    assert load_base("tiny", 1).fingerprint() == before[0] != load_base("tiny", 2).fingerprint()


def test_the_start_changes_nothing_and_is_the_same_on_every_node() -> None:
    tokens = torch.tensor([[257, 65, 66, 67]])
    plain = load_base("tiny", 1)
    with torch.inference_mode():
        expected = plain.model(input_ids=tokens).logits
        model = tiny()
        assert torch.equal(model.module(input_ids=tokens).logits, expected)
    assert distance(model.arrays(), tiny().arrays()) == 0


def test_training_is_the_same_every_time_and_the_plan_reaches_it() -> None:
    usual = trained(PLAN)
    assert distance(usual, trained(PLAN)) == 0
    assert distance(usual, trained(PLAN, server_round=2)) > 0
    for changed in ({"local-steps": 11}, {"client-lr": 0.02}, {"batch-size": 3}, {"max-length": 24}):
        assert distance(usual, trained(Plan.of_run({**CONFIG, **changed}))) > 0


def test_the_proximal_term_draws_back_and_vanishes_with_mu() -> None:
    start = tiny().arrays()
    free = trained(PLAN)
    assert distance(trained(PLAN, 1e-30), free) == 0
    assert distance(trained(PLAN, 1000.0), start) < distance(trained(PLAN, 1.0), start) < distance(free, start)


def test_padding_and_prompts_have_no_part_in_the_loss() -> None:
    model = tiny()
    short, long = ROWS[0], Instruction("Say more.", "This response is a good deal longer than the other one.")
    examples = [training.example_of(one, model.tokenizer, 256) for one in (short, long)]
    with torch.inference_mode():
        together = training._token_losses(model, examples)
        apart = torch.cat([training._token_losses(model, [one]) for one in examples])
    assert together.numel() == len(short.response) + 1 + len(long.response) + 1
    torch.testing.assert_close(together, apart)
    assert training.evaluate(model, [short, long], PLAN)[0] == pytest.approx(float(apart.mean()), rel=1e-5)


def test_adapters_of_another_rank_or_base_are_refused_with_the_difference() -> None:
    other = tiny(Plan.of_run({**CONFIG, "lora-rank": 4})).arrays()
    with pytest.raises(AdapterError, match=r"lora_A.weight is \(4, 128\), \(2, 128\) is wanted"):
        tiny().load(other)
    with pytest.raises(AdapterError, match="absent"):
        tiny().load({})
    with pytest.raises(AdapterError, match="more is unknown"):
        tiny().load({**tiny().arrays(), "more": np.zeros(1)})


def test_a_folder_can_be_the_base(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    assert main(["--model", "tiny", "--seed", "3", "--output", str(tmp_path)]) == 0
    again = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert Base(again, load_base("tiny", 3).tokenizer).fingerprint() == load_base("tiny", 3).fingerprint()


@pytest.fixture(scope="module")
def flower_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for Flower, in which SmolLM2 is unpacked once for all tests here."""
    home = tmp_path_factory.mktemp("flwr")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLWR_HOME", str(home))
        yield home
    shutil.rmtree(home)


def test_smollm2_is_unpacked_once_and_is_the_same_from_the_disk(flower_home: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    fresh = load_base(SMOLLM2, 1)
    (kept,) = (flower_home / "unpacked-models").glob("smollm2-135m-*")
    made = (kept / "model.safetensors").stat()
    again = load_base(SMOLLM2, 1)
    assert (kept / "model.safetensors").stat().st_mtime_ns == made.st_mtime_ns
    assert again.fingerprint() == fresh.fingerprint()
    expected, weights = fresh.model.state_dict(), again.model.state_dict()
    assert list(weights) == list(expected)
    assert all(torch.equal(weights[name], value) for name, value in expected.items())
    assert (again.tokenizer.end, again.tokenizer.pad) == (fresh.tokenizer.end, fresh.tokenizer.pad)
    for one in read_node_instructions({"partition-id": 0, "num-partitions": 1}, {}, bundled=True).train:
        assert again.tokenizer.prompt(one.instruction) == fresh.tokenizer.prompt(one.instruction)
        assert again.tokenizer.plain(one.response) == fresh.tokenizer.plain(one.response)

    assert main(["--model", SMOLLM2, "--output", str(tmp_path)]) == 0
    plain = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert Base(plain, again.tokenizer).fingerprint() == fresh.fingerprint()


@pytest.mark.usefixtures("flower_home")
def test_smollm2_out_of_its_package_learns_by_adapters() -> None:
    plan = Plan.of_run({"framework": "pytorch", "local-steps": 3, "batch-size": 2})
    base = load_base(SMOLLM2, plan.seed)
    assert base.parameters == 134_515_008
    model = AdaptedModel(base, plan)
    model.reset(plan.seed)
    assert sum(array.nbytes for array in model.arrays().values()) < 0.02 * 4 * base.parameters
    rows = ROWS[:4]
    before, perplexity = training.evaluate(model, rows, plan)
    # A model that knows English: far from the thousands of a random one.
    assert perplexity < 100
    training.train(model, rows, plan, 1)
    assert training.evaluate(model, rows, plan)[0] < before
