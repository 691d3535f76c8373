import json
import math
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conftest import details_of, parse_events
from federation import LocalFederation, await_true, local_federation
from oneflower.model_file import read_model

APP = Path(__file__).parents[2] / "apps" / "llm-fine-tuning"
QUICK = "num-server-rounds=1 lora-rank=2 local-steps=2 batch-size=2 max-length=64"


def events_of(federation: LocalFederation, name: str) -> list[dict[str, Any]]:
    text = federation.events.read_text() if federation.events.exists() else ""
    return [event["data"] for event in parse_events(text) if event["event"] == name]


def fine_tune(federation: LocalFederation, overrides: str, seconds: float) -> dict[str, NDArray[Any]]:
    """The adapters of a run, once it has ended."""
    app = federation.app_copy(APP)
    answer = json.loads(federation.flwr("run", str(app), "s", "--format=json", "--run-config", overrides))
    assert answer["success"], answer
    try:
        await_true(lambda: bool(events_of(federation, "training_end")), "the end of training", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{federation.logs()}") from error
    return read_model(federation.models / f"{answer['run-id']}.npz")


def test_two_nodes_fine_tune_and_the_adapters_are_kept(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    lines = [json.dumps({"instruction": f"Say {n}.", "response": str(n)}) for n in range(12)]
    (data / "mine.jsonl").write_text("\n".join(lines))
    with local_federation(tmp_path) as federation:
        federation.start_superlink()
        federation.start_supernode("partition-id=1 num-partitions=2")
        federation.start_supernode("", data=data)
        arrays = fine_tune(federation, f'{QUICK} model="tiny"', 400)
    (end,) = events_of(federation, "round_end")
    assert (end["num_clients_responded"], end["num_clients_failed"]) == (2, 0)
    assert {"train_loss", "eval_loss", "perplexity"} <= set(end["metrics"])
    assert sorted((event["source"], event["rows"]) for event in events_of(federation, "data_loaded")) == [
        ("bundled", 96),
        ("folder", 12),
    ]
    assert len(events_of(federation, "node_device")) == 2
    assert len(arrays) == 2 * 7
    assert all(".lora_" in name for name in arrays)


def test_the_app_is_packed_with_its_instructions(tmp_path: Path) -> None:
    with local_federation(tmp_path) as federation:
        app = federation.app_copy(APP)
        federation.flwr("build", "--app", str(app))
    (fab,) = [*tmp_path.glob("*.fab"), *app.glob("*.fab")]
    with zipfile.ZipFile(fab) as archive:
        assert {"llm_fine_tuning/instructions.jsonl", "llm_fine_tuning/client_app.py"} <= set(archive.namelist())


def test_two_nodes_fine_tune_the_default_model(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    lines = [json.dumps({"instruction": f"What is {n} plus 1?", "response": f"It is {n + 1}."}) for n in range(12)]
    (data / "mine.jsonl").write_text("\n".join(lines))
    with local_federation(tmp_path) as federation:
        federation.start_superlink()
        for _ in range(2):
            federation.start_supernode("", data=data)
        adapters = fine_tune(federation, QUICK, 900)
    (end,) = events_of(federation, "round_end")
    assert (end["num_clients_responded"], end["num_clients_failed"]) == (2, 0)
    # A model that knows English: far from the 49,152 of one that guesses.
    assert math.isfinite(end["metrics"]["eval_loss"])
    assert end["metrics"]["perplexity"] < 100
    (written,) = events_of(federation, "model_written")
    details = details_of(federation.models, int(written["run_id"]))
    assert (details["model"], details["parameters"]) == ("smollm2-135m", 134_515_008)

    # The nodes' replies had the names and shapes of these arrays, else they would have been refused.
    assert [array.shape[0] for array in adapters.values()] == [30] * 2 * 7
    assert all(".lora_A." in name or ".lora_B." in name for name in adapters)
    assert sum(array.nbytes for array in adapters.values()) < 0.01 * 4 * 134_515_008
    # Each B was 0 at the start.
    for name, array in adapters.items():
        assert ".lora_A." in name or np.abs(array).max(axis=(1, 2)).min() > 0

    # Both nodes write one folder here: they have unpacked the model once.
    (kept,) = (tmp_path / "flwr" / "unpacked-models").glob("smollm2-135m-*")
    shutil.rmtree(kept)
