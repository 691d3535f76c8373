"""A zygote with an app program of the tests instead of Flower's runner, and those who ask it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
BIN = SOURCE / "oneflower" / "warm" / "bin"
# The runner of the tests stands where Flower's does.
PROGRAM = """
import sys
from oneflower.warm import modules
modules.PROGRAMS = {"flwr-clientapp": modules.Program("warm_app", "main", ("numpy",))}
from oneflower.warm.zygote import main
main()
"""
PATIENCE = 30


@dataclass
class Zygote:
    """A running zygote."""

    root: Path
    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes]
    lifeline: int
    askers: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(
        self,
        *arguments: str,
        program: str = "flwr-clientapp",
        cwd: Path | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        asker = subprocess.Popen(
            [str(BIN / program), *arguments],
            env={**self.environment, **(variables or {})},
            cwd=cwd or self.root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.askers.append(asker)
        return asker

    def ask(
        self,
        *arguments: str,
        given: str = "",
        program: str = "flwr-clientapp",
        cwd: Path | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> tuple[int, str, str]:
        """Status, output and errors of the program with these arguments."""
        asker = self.start(*arguments, program=program, cwd=cwd, variables=variables)
        output, errors = asker.communicate(given, timeout=PATIENCE)
        return asker.returncode, output, errors

    def stop(self) -> None:
        for asker in self.askers:
            asker.kill()
            asker.communicate()
        with contextlib.suppress(OSError):
            os.close(self.lifeline)
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def zygote_in(root: Path, program: str = PROGRAM) -> Iterator[Zygote]:
    """A zygote with everything that it needs under ``root``."""
    folder = root / "warm"
    folder.mkdir(mode=0o700)
    own = root / "own"
    own.mkdir()
    for name in ("flwr-clientapp", "flwr-serverapp"):
        (own / name).write_text('#!/bin/sh\necho "plain $*"\n')
        (own / name).chmod(0o755)
    environment = {
        "PATH": f"{BIN}:{own}:{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": f"{SOURCE}:{Path(__file__).parent}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(root),
        "ONEFLOWER_EVENTS": str(root / "events.jsonl"),
        "ONEFLOWER_WARM_FOLDER": str(folder),
    }
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", program, "flwr-clientapp", str(folder), str(reading)],
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        pass_fds=[reading],
    )
    os.close(reading)
    zygote = Zygote(root, folder, environment, process, writing)
    try:
        deadline = time.monotonic() + PATIENCE
        while not (folder / "zygote").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield zygote
    finally:
        zygote.stop()


def is_alive(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)
