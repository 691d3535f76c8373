from pathlib import Path

import numpy as np
import pytest

from oneflower.local import LocalRun, run_local

APP = Path(__file__).parents[2] / "apps" / "llm-fine-tuning"
USUAL = ('model="tiny"', "lora-rank=2", "local-steps=4", "client-lr=0.01", "max-length=128", "checkpoint-interval=1")


def run(checkpoints: Path, *pairs: str, data: tuple[Path, ...] = ()) -> LocalRun:
    checkpoints.mkdir(exist_ok=True)
    return run_local(APP, 2, [*USUAL, *pairs], data, variables={"ONEFLOWER_CHECKPOINTS": str(checkpoints)})


def events(done: LocalRun, name: str) -> list[dict[str, object]]:
    return [event["data"] for event in done.events if event["event"] == name]


def test_a_federation_fine_tunes_and_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", "num-server-rounds=3")
    assert whole.error is None
    losses = [record["metrics"]["eval_loss"] for record in whole.rounds]
    assert len(losses) == 3
    assert losses == sorted(losses, reverse=True)
    assert whole.metric("perplexity") == pytest.approx(np.exp(losses[-1]), rel=0.05)
    assert all(".lora_" in name and array.dtype == np.float32 for name, array in whole.arrays.items())
    assert [event["device"] for event in events(whole, "node_device")] == ["cpu", "cpu"]
    assert [event["source"] for event in events(whole, "data_loaded")] == ["bundled", "bundled"]
    details = whole.details
    assert (details["model"], details["lora_rank"]) == ("tiny", 2)
    assert {"torch", "transformers", "peft"} <= set(details["versions"])

    # Local runs all have one id.
    (tmp_path / "whole" / "1").rename(tmp_path / "whole" / "7")
    again = run(tmp_path / "whole", "num-server-rounds=3", 'resume-from="7/round-000001.npz"')
    assert again.error is None
    assert [record["round"] for record in again.rounds] == [2, 3]
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)

    other = run(tmp_path / "whole", 'resume-from="7/round-000001.npz"', "lora-rank=4")
    assert other.error is not None
    assert "its lora_rank is 2, that of this run 4" in other.error
    assert other.rounds == []


def test_nodes_without_instructions_end_the_run_before_round_1(tmp_path: Path) -> None:
    folders = (tmp_path / "a", tmp_path / "b")
    for folder in folders:
        folder.mkdir()
    done = run(tmp_path, "bundled-data=false", data=folders)
    assert done.error is not None
    assert "0 of 2 nodes answered before the first round" in done.error
    assert events(done, "round_start") == []
    failures = events(done, "client_failure")
    assert len(failures) == 2
    for failure in failures:
        assert failure["round"] == 0
        assert "There are no instructions to fine-tune on" in str(failure["error"])
        assert "bundled-data is false" in str(failure["error"])
    assert len(events(done, "data_refused")) == 2


def test_the_proximal_term_reaches_the_adapters(tmp_path: Path) -> None:
    one, other = (
        run(tmp_path / name, 'strategy="FedProx"', f"proximal-mu={mu}", "num-server-rounds=1")
        for name, mu in (("free", "0.0"), ("drawn", "50.0"))
    )
    lengths = [
        float(np.sqrt(sum((array**2).sum() for name, array in done.arrays.items() if "lora_B" in name)))
        for done in (one, other)
    ]
    assert lengths[1] < 0.9 * lengths[0]
