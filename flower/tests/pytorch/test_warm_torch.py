import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from oneflower.warm.modules import FRAMEWORKS, import_all
from warm_zygote import PROGRAM, zygote_in

# As a node's zygote: with all that apps of the framework import.
WITH_TORCH = PROGRAM.replace('("numpy",)', repr(FRAMEWORKS["pytorch"]))
IMPORTED = """
import json, sys, threading
from oneflower.warm.modules import FRAMEWORKS, import_all
names = import_all(list(FRAMEWORKS["pytorch"]))
import torch
print(json.dumps({"names": names, "device": torch.cuda.is_initialized(), "seed": torch.initial_seed(),
                  "threads": threading.active_count()}))
"""


def test_imports_touch_no_device_and_start_no_threads(tmp_path: Path) -> None:
    source = str(Path(import_all.__code__.co_filename).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED],
        env={"PYTHONPATH": source, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    state = json.loads(done.stdout)
    assert state["names"] == list(FRAMEWORKS["pytorch"])
    assert (state["device"], state["threads"]) == (False, 1)


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
