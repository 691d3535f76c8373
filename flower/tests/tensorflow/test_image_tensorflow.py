import json
from pathlib import Path

import numpy as np
import pytest

import image_checks
from image_classification import tensorflow_model
from oneflower.local import run_local

CHECKS = image_checks.Checks("tensorflow")


def test_three_nodes_learn_the_digits_together() -> None:
    image_checks.nodes_learn_together(CHECKS, rounds=4, accuracy=0.85)


def test_training_is_the_same_every_time_and_leaves_its_input_alone() -> None:
    image_checks.training_is_repeatable(CHECKS)


def test_the_run_configuration_reaches_the_training() -> None:
    image_checks.everything_reaches_the_training(CHECKS)


def test_a_stronger_pull_keeps_nodes_nearer_to_the_common_model() -> None:
    image_checks.a_pull_keeps_nodes_nearer(CHECKS)


def test_an_exported_model_loads_in_plain_keras(tmp_path: Path) -> None:
    image_checks.exported(CHECKS, "keras", tmp_path / "model.keras", seed=3)
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]
    printed = image_checks.answer_elsewhere(
        "import json, os\n"
        "os.environ['KERAS_BACKEND'] = 'tensorflow'\n"
        "import keras, numpy\n"
        "model = keras.models.load_model('model.keras')\n"
        "print(json.dumps(model(numpy.full((1, 8, 8, 1), 0.2, 'float32'))[0].numpy().tolist()))\n",
        tmp_path,
    )
    net = tensorflow_model.loaded(CHECKS.start(3), image_checks.TASK)
    wanted = net(np.full((1, 8, 8, 1), 0.2, np.float32))[0].numpy().tolist()
    assert json.loads(printed.splitlines()[-1]) == pytest.approx(wanted, abs=1e-5)


def test_a_run_of_one_round_has_a_model() -> None:
    app = Path(__file__).parents[2] / "apps" / "image-classification"
    settings = ['framework="tensorflow"', 'dataset="digits"', "num-server-rounds=1", 'strategy="FedProx"']
    done = run_local(app, 2, settings)
    assert done.error is None
    assert list(done.arrays) == list(CHECKS.start())
    assert done.metric("accuracy") > 0.3
