"""An app program for tests of the zygote: does what its arguments say, as Flower's runner would do a message."""

import builtins
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

counter = 0


def main() -> None:
    {
        "tell": tell,
        "leave": leave_traces,
        "exit": lambda: sys.exit(int(sys.argv[2])),
        "say": lambda: sys.exit(sys.argv[2]),
        "raise": fail,
        "die": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "sleep": sleep,
        "mind": mind_sigterm,
        "train": train,
        "train-keras": train_keras,
    }[sys.argv[1]]()


def tell() -> None:
    """What kind of process this is, as JSON on standard output."""
    mask = os.umask(0)
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE]
    state: dict[str, Any] = {
        "argv": sys.argv,
        "folder": str(Path.cwd()),
        "umask": mask,
        "environment": dict(os.environ),
        "files": sorted(int(file.name) for file in Path("/proc/self/fd").iterdir() if file.exists()),
        "leader": os.getsid(0) == os.getpid() == os.getpgid(0),
        "signals": [str(signal.getsignal(number)) for number in signals],
        "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "random": random.random(),  # noqa: S311
        "numpy": float(np.random.rand()),  # noqa: NPY002 - the generator that all share
        "counter": counter,
        "leaked": getattr(builtins, "leaked", None),
        "input": sys.stdin.read(),
        "modules": [name for name in sys.modules if name.startswith("left_behind")],
        "name": Path("/proc/self/comm").read_text().strip(),
        "command": Path("/proc/self/cmdline").read_text(),
    }
    print(json.dumps(state))


def leave_traces() -> None:
    global counter
    counter += 1
    builtins.leaked = "yes"  # type: ignore[attr-defined]
    os.environ["LEFT_BEHIND"] = "yes"
    os.chdir("/")
    sys.modules["left_behind"] = sys.modules[__name__]
    handle = Path(sys.argv[2]).open("w")  # noqa: SIM115
    builtins.handle = handle  # type: ignore[attr-defined]
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    tell()


def fail() -> None:
    raise ValueError("no such thing")


def sleep() -> None:
    print(os.getpid(), flush=True)
    time.sleep(float(sys.argv[2]))
    print("done", flush=True)


def mind_sigterm() -> None:
    def leave(_number: int, _frame: object) -> None:
        # Not print: the signal may come while the line below is still being flushed, and a buffer is not entered twice.
        os.write(sys.stdout.fileno(), b"goodbye\n")
        sys.exit(5)

    signal.signal(signal.SIGTERM, leave)
    print(os.getpid(), flush=True)
    time.sleep(60)


def train() -> None:
    """One step of a network on several threads, and what a device would show."""
    import torch

    torch.manual_seed(1)
    layer = torch.nn.Linear(400, 400)
    loss = layer(torch.rand(4000, 400)).pow(2).mean()
    loss.backward()
    gradient = layer.weight.grad
    assert gradient is not None
    print(json.dumps({"loss": loss.item(), "gradient": float(gradient.sum()), "threads": torch.get_num_threads()}))


def train_keras() -> None:
    import keras

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(np.ones((256, 4)), np.ones((256, 1)), epochs=2, verbose=0)
    print(json.dumps({"loss": history.history["loss"]}))
