import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oneflower.checkpoints.resume import CHECKPOINTS_VARIABLE
from oneflower.local import LocalRun, run_local
from oneflower.model_file import write_model

FLOWER = Path(__file__).parents[1]
APP = FLOWER / "apps" / "image-classification"


def run(*run_config: str, nodes: int = 3, data: list[Path] | None = None, checkpoints: Path | None = None) -> LocalRun:
    variables = {CHECKPOINTS_VARIABLE: str(checkpoints)} if checkpoints else {}
    return run_local(APP, nodes, ["num-server-rounds=2", *run_config], data or [], variables=variables)


def paint(folder: Path, classes: dict[str, int], count: int = 16, side: int = 8) -> Path:
    """Class folders of images, each class of a brightness of its own."""
    generator = np.random.default_rng(1)
    for name, brightness in classes.items():
        (folder / name).mkdir(parents=True)
        for place in range(count):
            pixels = np.clip(generator.normal(brightness, 20, (side, side)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{place}.png")
    return folder


@pytest.fixture(scope="module")
def plain() -> LocalRun:
    return run()


def test_a_run_learns_the_digits_and_tells_what_its_model_is(plain: LocalRun) -> None:
    assert plain.error is None
    assert set(plain.rounds[-1]["metrics"]) == {"train_loss", "accuracy", "eval_loss"}
    assert plain.metric("accuracy") > 0.85
    details = plain.details
    expected = {
        "app": "image-classification",
        "framework": "sklearn",
        "shape": [8, 8, 1],
        "classes": list("0123456789"),
    }
    assert {key: details[key] for key in expected} == expected
    versions = details["versions"]
    assert isinstance(versions, dict)
    assert "scikit-learn" in versions


def test_a_run_is_the_same_every_time(plain: LocalRun) -> None:
    assert run().sha256 == plain.sha256


@pytest.mark.parametrize(
    "changed",
    [
        'strategy="FedProx"',
        "client-lr=0.05",
        'partitioning="dirichlet"',
        "max-images=100",
        "batch-size=16",
    ],
)
def test_a_setting_changes_the_model(plain: LocalRun, changed: str) -> None:
    done = run(changed)
    assert done.error is None
    assert done.sha256 != plain.sha256


def test_fedprox_without_weight_is_fedavg(plain: LocalRun) -> None:
    done = run('strategy="FedProx"', "proximal-mu=0.0")
    for name, array in plain.arrays.items():
        np.testing.assert_array_equal(done.arrays[name], array)


def test_nodes_train_on_images_of_their_own(tmp_path: Path) -> None:
    looks = {"bright": 200, "dark": 50}
    folders = [paint(tmp_path / str(node), looks) for node in range(2)]
    done = run("num-server-rounds=3", "batch-size=4", nodes=2, data=folders)
    assert done.error is None
    assert done.details["classes"] == ["bright", "dark"]
    assert done.metric("accuracy") > 0.95


def test_a_node_that_lacks_a_class_takes_part_when_the_run_names_the_classes(tmp_path: Path) -> None:
    one = paint(tmp_path / "0", {"bright": 200, "dark": 50})
    other = paint(tmp_path / "1", {"dark": 50})
    done = run('classes="bright,dark"', nodes=2, data=[one, other])
    assert done.error is None
    assert done.rounds[-1]["failed"] == 0


def test_nodes_with_other_classes_or_sizes_end_the_run_with_words(tmp_path: Path) -> None:
    one = paint(tmp_path / "0", {"bright": 200, "dark": 50})
    other = paint(tmp_path / "1", {"bright": 200, "grey": 120})
    large = paint(tmp_path / "2", {"bright": 200, "dark": 50}, side=12)
    assert run(nodes=2, data=[one, other]).error == (
        "Node 1002 holds grey images of 8 by 8 pixels in the classes bright, grey; "
        "node 1001 holds grey images of 8 by 8 pixels in the classes bright, dark"
    )
    assert "images of 12 by 12 pixels" in (run(nodes=2, data=[one, large]).error or "")
    assert run("image-size=6", nodes=2, data=[one, large]).error is None


def test_a_node_with_damaged_images_is_left_out_and_says_why(tmp_path: Path) -> None:
    looks = {"bright": 200, "dark": 50}
    folders = [paint(tmp_path / str(node), looks) for node in range(3)]
    (folders[2] / "dark" / "0.png").write_bytes(b"not an image")
    done = run(data=folders)
    assert done.error is None
    assert [each["failed"] for each in done.rounds] == [1, 1]
    refused = [event["data"] for event in done.events if event["event"] == "data_refused"]
    assert {each["file"] for each in refused} == {"dark/0.png"}


def test_the_best_round_is_that_of_the_highest_accuracy(tmp_path: Path) -> None:
    done = run(checkpoints=tmp_path)
    manifests = [json.loads(file.read_text()) for file in sorted(tmp_path.rglob("round-*.json"))]
    values = [each["metrics"]["accuracy"] for each in done.rounds]
    best = manifests[-1]["best"]
    assert (best["metric"], best["value"]) == ("accuracy", max(values))


def test_a_run_goes_on_from_a_checkpoint_of_the_same_images_only(tmp_path: Path, plain: LocalRun) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    run("num-server-rounds=1", checkpoints=kept)
    (old,) = kept.iterdir()
    old = old.rename(kept / "900")
    resume = f'resume-from="900/{next(iter(old.glob("*.npz"))).name}"'
    went_on = run(resume, checkpoints=kept)
    assert went_on.error is None
    for name, array in plain.arrays.items():
        np.testing.assert_array_equal(went_on.arrays[name], array)

    names = [*"abcdefghij"]
    other = [paint(tmp_path / str(node), dict.fromkeys(names, 100), count=4) for node in range(2)]
    refused = run(resume, nodes=2, data=other, checkpoints=kept).error or ""
    assert refused.startswith("The checkpoint is of a model for grey images of 8 by 8 pixels in the classes 0, 1, 2")
    assert refused.endswith("the nodes hold grey images of 8 by 8 pixels in the classes a, b, c, d, e, f, g, h, i, j")


def test_a_model_is_exported_by_its_app(plain: LocalRun, tmp_path: Path) -> None:
    write_model(plain.arrays, tmp_path / "model.npz")
    (tmp_path / "model.json").write_text(json.dumps({"details": plain.details}))

    def export(form: str) -> "subprocess.CompletedProcess[str]":
        options = {"app-folder": APP, "model": "model.npz", "manifest": "model.json", "format": form}
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "oneflower.export",
                *(f"--{name}={value}" for name, value in options.items()),
                f"--output={form}",
            ],
            cwd=tmp_path,
            env={"PYTHONPATH": ":".join(sys.path), "FLWR_TELEMETRY_ENABLED": "0"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    done = export("joblib")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "joblib").stat().st_size > 10_000
    refused = export("pt")
    assert refused.returncode == 1
    assert "it can be had as joblib, not as pt" in refused.stderr
    assert not (tmp_path / "pt").exists()
