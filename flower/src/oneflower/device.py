"""What a ClientApp computes on: the first GPU that its framework sees, else the CPU.

A framework is imported only for the question whether it sees a GPU, in the process of the message that asks: a
process that merely waits must not hold a GPU.
"""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flwr.app import ConfigRecord, Context

from oneflower.events import Events
from oneflower.log import logger

_CPU_FACTS = Path("/proc/cpuinfo")
_STATE_KEY = "oneflower.device"


@dataclass(frozen=True)
class Device:
    """Where tensors go. ``place`` is the name that the framework knows it by."""

    kind: Literal["cpu", "gpu"]
    name: str
    place: str


def device_of(framework: str) -> Device:
    """The device that a framework (sklearn, pytorch, tensorflow) computes on in this process.

    :raises ValueError: there is no such framework.
    :raises ImportError: the environment lacks it.
    """
    found = _FINDERS.get(framework)
    if found is None:
        raise ValueError(f"There is no framework {framework}")
    return found() or Device("cpu", cpu_name(), "/CPU:0" if framework == "tensorflow" else "cpu")


def use_device(context: Context, framework: str, events: Events | None = None) -> Device:
    """The device for a message of a run; says so in the log and in an event, once a run on each node."""
    device = device_of(framework)
    label = f"{device.kind} {device.name}"
    last = context.state.get(_STATE_KEY)
    if not isinstance(last, ConfigRecord) or last.get("device") != label:
        context.state[_STATE_KEY] = ConfigRecord({"device": label})
        logger.info("Device: %s, %s", device.kind.upper(), device.name)
        (events or Events.of_run(context.run_id)).node_device(device=device.kind, name=device.name)
    return device


def cpu_name(facts: Path = _CPU_FACTS) -> str:
    """Model and number of the CPUs that this process may use."""
    try:
        lines = facts.read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    count = len(os.sched_getaffinity(0))
    return f"{models[0] if models else platform.machine()}, {count} CPU{'' if count == 1 else 's'}"


def _no_gpu() -> Device | None:
    """scikit-learn computes on the CPU alone."""
    return None


def _pytorch_gpu() -> Device | None:
    import torch

    if not torch.cuda.is_available():
        return None
    return Device("gpu", str(torch.cuda.get_device_name(0)), "cuda:0")


def _tensorflow_gpu() -> Device | None:
    import tensorflow

    devices = tensorflow.config.list_physical_devices("GPU")
    if not devices:
        return None
    details = tensorflow.config.experimental.get_device_details(devices[0])
    return Device("gpu", str(details.get("device_name", "GPU")), "/GPU:0")


_FINDERS = {"sklearn": _no_gpu, "pytorch": _pytorch_gpu, "tensorflow": _tensorflow_gpu}
