import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anomaly_detection import model
from anomaly_detection.plan import TrainingPlan
from anomaly_detection.scaling import Scale
from oneflower.export import main
from oneflower.model_file import read_model, write_model

FLOWER = Path(__file__).parents[1]
APP = FLOWER / "apps" / "anomaly-detection"
COLUMNS = ["a", "b", "c"]
DETAILS = {"app": "anomaly-detection", "framework": "sklearn", "columns": COLUMNS}
ROWS = np.random.default_rng(5).normal(size=(30, 3)) * [1, 100, 1e12]
SCALE = Scale.of_rows(ROWS)
WEIGHTS = model.initial_weights(3, TrainingPlan.of_run({"hidden-units": 5}))

PREDICT = """
import json, sys
import joblib, numpy
assert not [name for name in sys.modules if name.startswith(("oneflower", "anomaly_detection", "flwr"))]
pipeline = joblib.load(sys.argv[1])
rows = numpy.array(json.loads(sys.argv[2]))
print(json.dumps([pipeline.predict_proba(rows)[:, 1].tolist(), pipeline.predict(rows).tolist(), pipeline.columns_]))
assert not [name for name in sys.modules if name.startswith(("oneflower", "anomaly_detection", "flwr"))]
"""


def export(folder: Path, form: str = "joblib", app: Path = APP, details: object = DETAILS) -> int:
    write_model({**WEIGHTS, "center": SCALE.center, "width": SCALE.width}, folder / "m.npz")
    (folder / "m.json").write_text(json.dumps({"details": details}))
    return main(arguments(folder, form, app))


def arguments(folder: Path, form: str, app: Path) -> list[str]:
    pairs = {
        "--app-folder": app,
        "--model": folder / "m.npz",
        "--manifest": folder / "m.json",
        "--format": form,
        "--output": folder / "out",
    }
    return [str(word) for pair in pairs.items() for word in pair]


def test_a_pipeline_predicts_as_the_model_does_where_our_packages_are_unknown(tmp_path: Path) -> None:
    assert export(tmp_path) == 0
    program = [sys.executable, "-c", PREDICT, str(tmp_path / "out"), json.dumps(ROWS.tolist())]
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if not path.startswith(str(FLOWER)))}
    done = subprocess.run(program, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    probabilities, labels, columns = json.loads(done.stdout)
    odds = model.score(WEIGHTS, SCALE.apply(ROWS))
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-odds)), rtol=1e-9)
    assert labels == (odds > 0).astype(int).tolist()
    assert columns == COLUMNS


def test_a_checkpoint_is_exported_like_the_final_model(tmp_path: Path) -> None:
    assert export(tmp_path) == 0
    final = (tmp_path / "out").rename(tmp_path / "final").read_bytes()
    parts = {f"model/{name}": array for name, array in WEIGHTS.items()}
    state = {"state/m/hidden.bias": np.ones(5), "constant/center": SCALE.center, "constant/width": SCALE.width}
    write_model({**parts, **state}, tmp_path / "m.npz")
    assert main(arguments(tmp_path, "joblib", APP)) == 0
    assert (tmp_path / "out").read_bytes() == final


def test_what_cannot_be_exported_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(status: int, expected: int) -> str:
        assert status == expected
        assert not (tmp_path / "out").exists()
        text = capsys.readouterr().err
        assert text.count("\n") == 1
        return text

    assert "gives its model as npz, joblib, pt; not as keras" in said(export(tmp_path, "keras"), 1)
    assert "a model of sklearn can be had as joblib, not as pt" in said(export(tmp_path, "pt"), 1)
    assert "columns missing" in said(export(tmp_path, details={}), 1)
    assert "states no details" in said(export(tmp_path, details=[]), 1)
    assert "holds no Flower app" in said(export(tmp_path, app=tmp_path), 1)
    (tmp_path / "m.npz").write_text("no model")
    assert "could not be read" in said(main(arguments(tmp_path, "joblib", APP)), 1)


def app_with(folder: Path, package: str, **modules: str) -> Path:
    (folder / package).mkdir(parents=True)
    (folder / "pyproject.toml").write_text(f'[tool.flwr.app.components]\nserverapp = "{package}.server:app"\n')
    for name, text in {"__init__": "", **modules}.items():
        (folder / package / f"{name}.py").write_text(text)
    return folder


def test_a_framework_that_is_missing_has_a_status_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late = 'FORMATS = ("x",)\ndef export(arrays, details, format, target):\n    target.mkdir()\n    import no_such\n'
    assert export(tmp_path, "x", app_with(tmp_path / "late", "late_app", export=late)) == 3
    assert capsys.readouterr().err == "This environment lacks no_such, which the form x needs\n"
    assert not (tmp_path / "out").exists()
    assert export(tmp_path, "x", app_with(tmp_path / "early", "early_app", export="import no_such\n")) == 3
    assert export(tmp_path, "x", app_with(tmp_path / "none", "none_app")) == 1
    assert "gives its model as .npz only" in capsys.readouterr().err


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").write_text("kept")
    assert export(tmp_path) == 1
    assert (tmp_path / "out").read_text() == "kept"
    assert "exists already" in capsys.readouterr().err


def test_the_arrays_of_a_checkpoint_come_without_the_state_and_need_no_app(tmp_path: Path) -> None:
    parts = {f"model/{name}": array for name, array in WEIGHTS.items()}
    write_model({**parts, "constant/center": SCALE.center, "state/m_t.0": SCALE.width}, tmp_path / "m.npz")
    (tmp_path / "m.json").write_text("{}")
    words = arguments(tmp_path, "npz", APP)[2:]
    assert main(words) == 0
    found = read_model(tmp_path / "out")
    assert list(found) == [*WEIGHTS, "center"]
    for name, array in WEIGHTS.items():
        np.testing.assert_array_equal(found[name], array)


def test_other_forms_need_the_app(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(arguments(tmp_path, "joblib", APP)[2:])
