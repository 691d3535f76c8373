"""Training adapters on a node's instructions, and measuring them on those held out."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llm_fine_tuning.adapters import AdaptedModel
from llm_fine_tuning.base import Tokenizer
from llm_fine_tuning.instructions import Instruction
from llm_fine_tuning.plan import Plan

# What torch's cross entropy leaves out of the mean.
IGNORED = -100
MAX_GRADIENT = 1.0


@dataclass(frozen=True)
class Example:
    """Tokens of an instruction and its response; the loss is about the response and its end alone."""

    tokens: tuple[int, ...]
    prompt: int


def example_of(one: Instruction, tokenizer: Tokenizer, max_length: int) -> Example:
    """An instruction as tokens, at most ``max_length``: of a long prompt its end is kept, of a response its start."""
    response = [*tokenizer.plain(one.response), tokenizer.end]
    room = max(max_length - len(response), max_length // 2)
    prompt = tokenizer.prompt(one.instruction)[-room:]
    return Example((*prompt, *response[: max_length - len(prompt)]), len(prompt))


def train(
    model: AdaptedModel, instructions: Sequence[Instruction], plan: Plan, server_round: int, mu: float = 0.0
) -> float:
    """Take ``plan.steps`` steps of AdamW on the adapters. Returns the mean loss of the steps.

    :param mu: weight of FedProx's term mu/2 * ||w - w_common||^2 over the adapters, which is added to the loss.
    """
    import torch

    parameters = list(model.parameters.values())
    common = [parameter.detach().clone() for parameter in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=plan.learning_rate, weight_decay=0.0)
    examples = [example_of(one, model.tokenizer, plan.max_length) for one in instructions]
    losses: list[float] = []
    model.module.train()
    for batch in _batches(examples, plan, server_round):
        loss = _token_losses(model, batch).mean()
        losses.append(float(loss.detach()))
        if mu > 0:
            pairs = zip(parameters, common, strict=True)
            loss = loss + mu / 2 * torch.stack([((now - start) ** 2).sum() for now, start in pairs]).sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT)
        optimizer.step()
    return sum(losses) / len(losses)


def evaluate(model: AdaptedModel, instructions: Sequence[Instruction], plan: Plan) -> tuple[float, float]:
    """Mean loss of the responses' tokens, and perplexity (its exponential, infinite where that is too large)."""
    import torch

    examples = [example_of(one, model.tokenizer, plan.max_length) for one in instructions]
    total, count = 0.0, 0
    model.module.eval()
    with torch.inference_mode():
        for start in range(0, len(examples), plan.batch_size):
            losses = _token_losses(model, examples[start : start + plan.batch_size])
            total += float(losses.sum())
            count += losses.numel()
    mean = total / count
    return mean, math.exp(mean) if mean < math.log(1e300) else math.inf


def _batches(examples: Sequence[Example], plan: Plan, server_round: int) -> Iterator[list[Example]]:
    """As many batches as there are steps: examples in an order of the round's own, again and again."""
    import torch

    shuffle = torch.Generator().manual_seed(plan.seed + server_round)
    waiting: list[int] = []
    for _ in range(plan.steps):
        while len(waiting) < plan.batch_size:
            waiting += torch.randperm(len(examples), generator=shuffle).tolist()
        chosen, waiting = waiting[: plan.batch_size], waiting[plan.batch_size :]
        yield [examples[place] for place in chosen]


def _token_losses(model: AdaptedModel, batch: Sequence[Example]) -> Any:  # noqa: ANN401 - a tensor
    """The loss of each token of the responses; neither prompts nor padding are among them."""
    import torch

    length = max(len(example.tokens) for example in batch)
    tokens = torch.full((len(batch), length), model.tokenizer.pad)
    labels = torch.full((len(batch), length), IGNORED)
    seen = torch.zeros((len(batch), length), dtype=torch.long)
    for row, example in enumerate(batch):
        size = len(example.tokens)
        tokens[row, :size] = torch.tensor(example.tokens)
        labels[row, example.prompt : size] = tokens[row, example.prompt : size]
        seen[row, :size] = 1
    tokens, labels, seen = (each.to(model.place) for each in (tokens, labels, seen))
    scores = model.module(input_ids=tokens, attention_mask=seen).logits[:, :-1].float()
    wanted = labels[:, 1:]
    chosen = wanted != IGNORED
    return torch.nn.functional.cross_entropy(scores[chosen], wanted[chosen], reduction="none")
