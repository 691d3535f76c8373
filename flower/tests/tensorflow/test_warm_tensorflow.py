import json
from pathlib import Path

from oneflower.warm.modules import FRAMEWORKS
from warm_zygote import PROGRAM, zygote_in


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
