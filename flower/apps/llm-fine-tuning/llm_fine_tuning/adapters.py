"""LoRA adapters on a base model: what travels, and nothing else does."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_fine_tuning.base import Base
from llm_fine_tuning.plan import Plan

Adapters = dict[str, NDArray[np.float32]]

# Adapters are scaled by alpha / rank, so that a higher rank needs no other step.
ALPHA_PER_RANK = 2


class AdapterError(Exception):
    """Adapters do not fit the base model of this node."""


class AdaptedModel:
    """A base model with adapters. The base's weights are never changed."""

    def __init__(self, base: Base, plan: Plan, place: str = "cpu") -> None:
        from peft import LoraConfig, TaskType, get_peft_model

        config = LoraConfig(
            task_type=TaskType.CAUSAL_LM,
            r=plan.rank,
            lora_alpha=ALPHA_PER_RANK * plan.rank,
            lora_dropout=0.0,
            bias="none",
            target_modules="all-linear",
        )
        self.base_parameters = base.parameters
        self.tokenizer = base.tokenizer
        self.module: Any = get_peft_model(base.model, config).to(place)
        self.place = place
        self.parameters = {
            name.replace(".default.", "."): parameter
            for name, parameter in self.module.named_parameters()
            if parameter.requires_grad
        }

    def arrays(self) -> Adapters:
        """The adapters by the names that peft gives them in a file."""
        return {name: parameter.detach().cpu().numpy().copy() for name, parameter in self.parameters.items()}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Put adapters in place.

        :raises AdapterError: they are those of another base or rank.
        """
        import torch

        mine = {name: tuple(parameter.shape) for name, parameter in self.parameters.items()}
        theirs = {name: array.shape for name, array in arrays.items()}
        if mine != theirs:
            raise AdapterError(f"The adapters do not fit the base model of this node: {_difference(mine, theirs)}")
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(torch.tensor(np.asarray(arrays[name], np.float32)))

    def reset(self, seed: int) -> None:
        """The common start: an adapter that changes nothing (B is 0), and the same on every node.

        Drawn as peft does, uniformly within 1/sqrt(inputs), but from NumPy's frozen generator.
        """
        draw = np.random.RandomState(seed)
        start: Adapters = {}
        for name, parameter in sorted(self.parameters.items()):
            shape = tuple(parameter.shape)
            spread = 0.0 if "lora_B" in name else 1 / np.sqrt(shape[1])
            start[name] = draw.uniform(-spread, spread, shape).astype(np.float32)
        self.load(start)


def _difference(mine: Mapping[str, tuple[int, ...]], theirs: Mapping[str, tuple[int, ...]]) -> str:
    for name, shape in mine.items():
        if theirs.get(name) != shape:
            return f"{name} is {theirs.get(name, 'absent')}, {shape} is wanted"
    return f"{next(name for name in theirs if name not in mine)} is unknown"
