import json
from pathlib import Path
from typing import Any

import pytest

from oneflower.warm.modules import FRAMEWORKS, USE_CASES
from warm_zygote import PROGRAM, zygote_in
from zygote_imports import imports_of

# As a node's zygote: with all that apps of the framework import.
WITH_TORCH = PROGRAM.replace('("numpy",)', repr(FRAMEWORKS["pytorch"]))
# Torch's own word beside what the system shows: its context is what a fork could not use.
PROBE = "import torch; probed = torch.cuda.is_initialized()"


@pytest.mark.parametrize("use_case", [None, *USE_CASES])
def test_imports_touch_no_device_and_start_no_threads(tmp_path: Path, use_case: str | None) -> None:
    state = imports_of(tmp_path, "pytorch", PROBE, use_case)
    assert state.imported == state.wanted
    assert {*FRAMEWORKS["pytorch"], *USE_CASES.get(use_case or "", ())} <= set(state.imported)
    assert (state.touched, state.threads, state.probed) == ([], 1, False)


def test_forks_train_on_all_their_threads_and_alike(tmp_path: Path) -> None:
    with zygote_in(tmp_path, program=WITH_TORCH) as zygote:
        first, second = (trained(zygote.ask("train")) for _ in range(2))
    assert first == second
    assert first["loss"] > 0
    assert first["threads"] >= 1


def trained(answer: tuple[int, str, str]) -> dict[str, Any]:
    status, output, errors = answer
    assert status == 0, errors
    state: dict[str, Any] = json.loads(output)
    return state
