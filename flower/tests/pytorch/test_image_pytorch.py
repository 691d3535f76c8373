import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import image_checks
from image_classification import pytorch_model
from image_classification.variant import Step
from oneflower.local import run_local

CHECKS = image_checks.Checks("pytorch")


def test_three_nodes_learn_the_digits_together() -> None:
    image_checks.nodes_learn_together(CHECKS, rounds=4, accuracy=0.9)


def test_training_is_the_same_every_time_and_leaves_its_input_alone() -> None:
    image_checks.training_is_repeatable(CHECKS)


def test_the_run_configuration_reaches_the_training() -> None:
    image_checks.everything_reaches_the_training(CHECKS)


def test_a_stronger_pull_keeps_nodes_nearer_to_the_common_model() -> None:
    image_checks.a_pull_keeps_nodes_nearer(CHECKS)


def test_the_pull_of_fedprox_is_the_gradient_of_its_term() -> None:
    """The second step, of momentum 0.9, loses rate * mu of the first move."""
    rate, mu = 0.05, 2.0
    images = image_checks.DIGITS.take(np.arange(4))

    def after(epochs: int, mu: float) -> image_checks.Arrays:
        plan = CHECKS.plan(client_lr=rate, local_epochs=epochs, batch_size=4)
        return pytorch_model.train(CHECKS.start(), images, plan, Step(1, 0, mu))[0]

    start, first, plain, pulled = CHECKS.start(), after(1, 0.0), after(2, 0.0), after(2, mu)
    assert image_checks.distance(after(1, mu), first) < 1e-6
    for name in start:
        np.testing.assert_allclose(pulled[name], plain[name] - rate * mu * (first[name] - start[name]), atol=1e-5)


def test_no_array_is_a_counter_that_an_average_would_spoil() -> None:
    assert list(CHECKS.start()) == [
        f"{layer}.{kind}"
        for layer in ("conv1", "norm1", "conv2", "norm2", "full", "output")
        for kind in ("weight", "bias")
    ]


def test_an_exported_state_dict_loads_in_plain_pytorch(tmp_path: Path) -> None:
    image_checks.exported(CHECKS, "pt", tmp_path / "model.pt", seed=3)
    shutil.copy(image_checks.own_file("image_classification.pytorch_network"), tmp_path / "plain.py")
    printed = image_checks.answer_elsewhere(
        "import json, torch\n"
        "from plain import network\n"
        "net = network(8, 8, 1, 10)\n"
        "net.load_state_dict(torch.load('model.pt', weights_only=True))\n"
        "print(json.dumps(net(torch.full((1, 1, 8, 8), 0.2))[0].tolist()))\n",
        tmp_path,
    )
    import torch

    net = pytorch_model.loaded(CHECKS.start(3), image_checks.TASK).cpu()
    wanted = net(torch.full((1, 1, 8, 8), 0.2))[0].tolist()
    assert json.loads(printed) == pytest.approx(wanted, abs=1e-5)


def test_a_run_with_fedadam_learns_and_is_the_same_every_time() -> None:
    app = Path(__file__).parents[2] / "apps" / "image-classification"
    settings = ['framework="pytorch"', 'dataset="digits"', 'strategy="FedAdam"', "server-lr=0.01"]
    one, other = (run_local(app, 2, ["num-server-rounds=3", *settings]) for _ in range(2))
    assert one.error is None
    assert one.sha256 == other.sha256
    assert one.metric("accuracy") > one.rounds[0]["metrics"]["accuracy"]
