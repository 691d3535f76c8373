import json
from pathlib import Path

from oneflower.warm.modules import FRAMEWORKS
from warm_zygote import PROGRAM, zygote_in
from zygote_imports import imports_of

# TensorFlow refuses this once it has made its context, and with it those of all devices.
PROBE = "import tensorflow; tensorflow.config.threading.set_intra_op_parallelism_threads(1); probed = True"


def test_imports_touch_no_device_and_start_no_threads(tmp_path: Path) -> None:
    state = imports_of(tmp_path, "tensorflow", PROBE)
    assert state.imported == state.wanted
    assert set(FRAMEWORKS["tensorflow"]) <= set(state.imported)
    assert (state.touched, state.threads, state.probed) == ([], 1, True)


def test_forks_train_alike(tmp_path: Path) -> None:
    program = PROGRAM.replace('("numpy",)', repr(FRAMEWORKS["tensorflow"]))
    with zygote_in(tmp_path, program) as zygote:
        losses = []
        for _ in range(2):
            status, output, errors = zygote.ask("train-keras")
            assert status == 0, errors
            losses.append(json.loads(output.splitlines()[-1])["loss"])
    assert losses[0] == losses[1]
    assert losses[0][1] < losses[0][0]
