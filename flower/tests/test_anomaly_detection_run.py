from pathlib import Path

import numpy as np
import pytest

from oneflower.local import LocalRun, run_local

APP = Path(__file__).parents[1] / "apps" / "anomaly-detection"
CHECKPOINT = 'resume-from="7/round-000001.npz"'


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return folder


@pytest.fixture
def data(tmp_path: Path) -> list[Path]:
    folders = [tmp_path / "one", tmp_path / "other"]
    for place, folder in enumerate(folders):
        folder.mkdir()
        write_rows(folder, shift=place)
    return folders


def write_rows(folder: Path, shift: float) -> None:
    draw = np.random.RandomState(int(shift) + 1)
    labels = np.arange(200) % 5 == 0
    features = draw.normal(shift, 1, (200, 2)) + 3 * labels[:, None]
    lines = [f"{a},{b},{int(label)}" for (a, b), label in zip(features, labels, strict=True)]
    (folder / "rows.csv").write_text("\n".join(["a,b,label", *lines]))


def run(checkpoints: Path, data: list[Path], *pairs: str) -> LocalRun:
    settings = ["num-server-rounds=3", "checkpoint-interval=1", *pairs]
    return run_local(APP, 2, settings, data, variables={"ONEFLOWER_CHECKPOINTS": str(checkpoints)})


def first_run(checkpoints: Path, data: list[Path], *pairs: str) -> LocalRun:
    """A run whose checkpoints lie under another id than those of the runs after it: local ones all have the same."""
    done = run(checkpoints, data, *pairs)
    assert done.error is None
    (checkpoints / "1").rename(checkpoints / "7")
    return done


@pytest.mark.parametrize("strategy", ["FedAvg", "FedAdam"])
def test_a_run_that_goes_on_keeps_its_scale_and_ends_with_the_same_bits(
    checkpoints: Path, data: list[Path], strategy: str
) -> None:
    named = f'strategy="{strategy}"'
    whole = first_run(checkpoints, data, named)
    again = run(checkpoints, data, named, CHECKPOINT)
    assert [record["round"] for record in again.rounds] == [2, 3]
    assert list(again.arrays) == list(whole.arrays)
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)
    # Sensors that read otherwise today must not give the weights another meaning.
    write_rows(data[0], shift=50)
    changed = run(checkpoints, data, named, CHECKPOINT)
    assert changed.error is None
    for name in ("center", "width"):
        np.testing.assert_array_equal(changed.arrays[name], whole.arrays[name])


def test_a_checkpoint_of_another_network_is_refused(checkpoints: Path, data: list[Path]) -> None:
    first_run(checkpoints, data)
    other = run(checkpoints, data, CHECKPOINT, "hidden-units=8")
    assert other.error is not None
    assert "hidden.weight" in other.error
    assert other.rounds == []


def test_a_checkpoint_of_other_columns_is_refused(checkpoints: Path, data: list[Path]) -> None:
    first_run(checkpoints, data)
    for folder in data:
        rows = folder / "rows.csv"
        rows.write_text(rows.read_text().replace("a,b,label", "a,y,label"))
    other = run(checkpoints, data, CHECKPOINT)
    assert other.error is not None
    assert "Checkpoint 7/round-000001.npz does not belong to this run" in other.error
    assert "its column 2 is 'b', that of the nodes 'y'" in other.error
    assert other.rounds == []


def test_the_best_round_is_that_of_the_highest_roc_auc(checkpoints: Path, data: list[Path]) -> None:
    done = first_run(checkpoints, data)
    best = done.details["best"]
    scores = {record["round"]: record["metrics"]["roc_auc"] for record in done.rounds}
    assert (best["metric"], best["value"]) == ("roc_auc", max(scores.values()))
    assert scores[best["round"]] == best["value"]


def test_mu_and_client_lr_act_from_the_run_configuration(checkpoints: Path, data: list[Path]) -> None:
    def weights(*pairs: str) -> np.ndarray:
        done = run(checkpoints, data, "num-server-rounds=1", "checkpoint-enabled=false", *pairs)
        assert done.error is None
        return done.arrays["hidden.weight"]

    usual = weights()
    fedprox = 'strategy="FedProx"'
    np.testing.assert_array_equal(weights(fedprox, "proximal-mu=0.0"), usual)
    assert not np.array_equal(weights(fedprox, "proximal-mu=1.0"), usual)
    assert not np.array_equal(weights("client-lr=0.2"), usual)
    np.testing.assert_array_equal(weights("client-lr=0.1"), usual)
