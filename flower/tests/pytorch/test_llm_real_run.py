import json
import zipfile
from pathlib import Path
from typing import Any

from conftest import parse_events
from federation import LocalFederation, await_true, local_federation
from oneflower.model_file import read_model

APP = Path(__file__).parents[2] / "apps" / "llm-fine-tuning"
OVERRIDES = 'num-server-rounds=1 model="tiny" lora-rank=2 local-steps=2 max-length=64'


def events_of(federation: LocalFederation, name: str) -> list[dict[str, Any]]:
    text = federation.events.read_text() if federation.events.exists() else ""
    return [event["data"] for event in parse_events(text) if event["event"] == name]


def test_two_nodes_fine_tune_and_the_adapters_are_kept(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    lines = [json.dumps({"instruction": f"Say {n}.", "response": str(n)}) for n in range(12)]
    (data / "mine.jsonl").write_text("\n".join(lines))
    with local_federation(tmp_path) as federation:
        federation.start_superlink()
        federation.start_supernode("partition-id=1 num-partitions=2")
        federation.start_supernode("", data=data)
        app = federation.app_copy(APP)
        federation.flwr("build", "--app", str(app))
        (fab,) = [*tmp_path.glob("*.fab"), *app.glob("*.fab")]
        with zipfile.ZipFile(fab) as archive:
            assert {"llm_fine_tuning/instructions.jsonl", "llm_fine_tuning/client_app.py"} <= set(archive.namelist())
        fab.unlink()
        answer = json.loads(federation.flwr("run", str(app), "s", "--format=json", "--run-config", OVERRIDES))
        assert answer["success"], answer
        try:
            await_true(lambda: bool(events_of(federation, "training_end")), "the end of training", 400)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{federation.logs()}") from error
    (end,) = events_of(federation, "round_end")
    assert (end["num_clients_responded"], end["num_clients_failed"]) == (2, 0)
    assert {"train_loss", "eval_loss", "perplexity"} <= set(end["metrics"])
    assert sorted((event["source"], event["rows"]) for event in events_of(federation, "data_loaded")) == [
        ("bundled", 96),
        ("folder", 12),
    ]
    assert len(events_of(federation, "node_device")) == 2
    arrays = read_model(federation.models / f"{answer['run-id']}.npz")
    assert len(arrays) == 28
    assert all(".lora_" in name for name in arrays)
