"""What the imports of a zygote leave in its process, looked at from a process of its own."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from oneflower.warm.modules import FRAMEWORK_VARIABLE, USE_CASE_VARIABLE, import_all

# CUDA's driver library is loaded and its device files are opened by whoever makes a context, whatever the framework.
IMPORTED = """
import json, os, sys, threading
from pathlib import Path
from oneflower.warm.modules import import_all, wanted_modules

names = wanted_modules("flwr-clientapp", os.environ)
imported = import_all(names)
opened = []
for file in Path("/proc/self/fd").iterdir():
    try:
        opened.append(os.readlink(file))
    except OSError:
        continue
mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "/" in line}
touched = [file for file in (*opened, *mapped) if file.startswith("/dev/nvidia") or "/libcuda.so" in file]
threads = threading.active_count()
PROBE
print(json.dumps({"wanted": names, "imported": imported, "touched": touched, "threads": threads, "probed": probed}))
"""


@dataclass(frozen=True)
class Imported:
    """Modules by name, device files and driver libraries in use, threads of Python, and what the probe found."""

    wanted: list[str]
    imported: list[str]
    touched: list[str]
    threads: int
    probed: object


def imports_of(home: Path, framework: str, probe: str, use_case: str | None = None) -> Imported:
    """A node's zygote as far as its imports; ``probe`` are lines of Python that set ``probed``."""
    environment: Mapping[str, str] = {
        "PYTHONPATH": str(Path(import_all.__code__.co_filename).parents[2]),
        "HOME": str(home),
        FRAMEWORK_VARIABLE: framework,
        **({} if use_case is None else {USE_CASE_VARIABLE: use_case}),
    }
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED.replace("PROBE", probe)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Imported(**json.loads(done.stdout.splitlines()[-1]))
