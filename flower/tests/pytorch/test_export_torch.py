import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anomaly_detection import autoencoder, torch_training
from anomaly_detection.plan import TrainingPlan
from anomaly_detection.scaling import Scale
from llm_fine_tuning.adapters import AdaptedModel
from llm_fine_tuning.base import load_base
from llm_fine_tuning.plan import Plan
from oneflower.export import main
from oneflower.model_file import write_model

FLOWER = Path(__file__).parents[2]

SCORE = """
import json, sys
import torch
model = torch.load(sys.argv[1], weights_only=True)
state, rows = model["state_dict"], torch.tensor(json.loads(sys.argv[2]), dtype=torch.float64)
scaled = ((rows - model["center"]) / model["width"] * model["units"]).clamp(-model["limit"], model["limit"])
scaled = scaled.arcsinh().float()
value = scaled
for layer in ("encoder", "code", "decoder", "output"):
    value = torch.nn.functional.linear(value, state[f"{layer}.weight"], state[f"{layer}.bias"])
    value = value if layer == "output" else value.tanh()
print(json.dumps([((value - scaled) ** 2).mean(1).tolist(), model["columns"]]))
"""

ADAPT = """
import json, sys
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
base = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
model = PeftModel.from_pretrained(base, sys.argv[2])
with torch.inference_mode():
    print(json.dumps(model(input_ids=torch.tensor([json.loads(sys.argv[3])])).logits[0, -1].tolist()))
"""


def in_a_fresh_process(program: str, *words: object) -> Any:  # noqa: ANN401 - JSON
    """What a program prints that knows nothing of our packages."""
    environment = {
        "PYTHONPATH": ":".join(path for path in sys.path if not path.startswith(str(FLOWER))),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", program, *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def export(folder: Path, app: str, form: str, details: dict[str, object]) -> Path:
    (folder / "m.json").write_text(json.dumps({"details": details}))
    words = ["--app-folder", FLOWER / "apps" / app, "--model", folder / "m.npz", "--manifest", folder / "m.json"]
    assert main([*map(str, words), "--format", form, "--output", str(folder / "out")]) == 0
    return folder / "out"


def test_an_autoencoder_scores_in_plain_pytorch(tmp_path: Path) -> None:
    rows = np.random.default_rng(5).normal(size=(30, 6)) * 100
    scale = Scale.of_rows(rows)
    weights = autoencoder.initial_weights(6, TrainingPlan.of_run({"framework": "pytorch"}))
    write_model({**weights, "center": scale.center, "width": scale.width}, tmp_path / "m.npz")
    details: dict[str, object] = {"framework": "pytorch", "columns": list("abcdef")}
    scores, columns = in_a_fresh_process(
        SCORE, export(tmp_path, "anomaly-detection", "pt", details), json.dumps(rows.tolist())
    )
    np.testing.assert_allclose(scores, torch_training.score(weights, scale.apply(rows)), rtol=1e-4)
    assert columns == list("abcdef")


def test_adapters_load_with_plain_peft_onto_the_same_base(tmp_path: Path) -> None:
    plan = Plan.of_run({"model": "tiny", "lora-rank": 3})
    base = load_base("tiny", plan.seed)
    base.model.save_pretrained(tmp_path / "base")
    model = AdaptedModel(base, plan)
    draw = np.random.default_rng(3)
    adapters = {name: draw.normal(0, 0.2, array.shape).astype(np.float32) for name, array in model.arrays().items()}
    model.load(adapters)
    tokens = [257, 72, 105, 10]
    with torch.inference_mode():
        expected = model.module(input_ids=torch.tensor([tokens])).logits[0, -1].tolist()
    write_model(adapters, tmp_path / "m.npz")
    folder = export(tmp_path, "llm-fine-tuning", "peft", {"model": "tiny", "lora_rank": 3})
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny"
    logits = in_a_fresh_process(ADAPT, tmp_path / "base", folder, json.dumps(tokens))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
