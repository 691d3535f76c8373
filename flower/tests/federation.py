"""A real SuperLink with real SuperNodes on loopback, for tests."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

APP = Path(__file__).parents[1] / "apps" / "anomaly-detection"
BIN = Path(sys.executable).parent
GRACE_SECONDS = 10
# The discard port, where nothing listens.
NOWHERE = "http://127.0.0.1:9"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def await_true(condition: Callable[[], bool], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.2)


def _environment_of(process: Path) -> list[bytes]:
    """A process's environment; empty for one that has ended or is another user's."""
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


class LocalFederation:
    """Processes of one federation; everything they write lies under ``root``."""

    def __init__(self, root: Path, launchers: Path | None = None) -> None:
        """``launchers``: folder of programs that stand for Flower's own."""
        self.root = root
        self._programs = launchers or BIN
        self.events = root / "events.jsonl"
        self.models = root / "models"
        self._port = free_port()
        self._processes: list[subprocess.Popen[bytes]] = []
        home = root / "flwr"
        for folder in (self.models, home):
            folder.mkdir()
        connection = (
            f'[superlink]\ndefault = "s"\n\n[superlink.s]\naddress = "127.0.0.1:{self._port}"\ninsecure = true\n'
        )
        (home / "config.toml").write_text(connection)
        self.environment = {
            "PATH": f"{self._programs}:{BIN}:/usr/bin:/bin",
            "HOME": str(root),
            "PYTHONPATH": str(Path(__file__).parents[1] / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "FLWR_HOME": str(home),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            # Whatever asks for anything outside this machine fails at once: apps run without a network.
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), NOWHERE),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
            # As the agent starts Flower: PyTorch's threads that spin would hinder the other node.
            "OMP_WAIT_POLICY": "PASSIVE",
            "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.1",
            "ONEFLOWER_EVENTS": str(self.events),
            "ONEFLOWER_MODELS": str(self.models),
        }

    def start_superlink(self) -> None:
        self._spawn(
            "flower-superlink",
            "--insecure",
            "--host=127.0.0.1",
            f"--port={self._port}",
            f"--database={self.root / 'state.db'}",
            "--disable-runtime-dependency-installation",
        )
        await_true(self._healthy, "the SuperLink's start", 120)

    def start_supernode(self, node_config: str, data: Path | None = None, isolation: str = "subprocess") -> None:
        """With isolation ``process`` what runs apps is started here instead of by Flower."""
        runtime = free_port()
        self._spawn(
            "flower-supernode",
            "--insecure",
            f"--superlink=127.0.0.1:{self._port}",
            "--host=127.0.0.1",
            f"--port={runtime}",
            f"--node-config={node_config}",
            f"--isolation={isolation}",
            extra={"ONEFLOWER_DATA": str(data)} if data else {},
        )
        if isolation == "process":
            self._spawn("flower-superexec", "--insecure", f"--runtime-api-address=127.0.0.1:{runtime}")

    def flwr(self, *arguments: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            [str(BIN / "flwr"), *arguments],
            env=self.environment,
            cwd=cwd or self.root,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def app_copy(self, app: Path = APP) -> Path:
        """An app's sources where flwr may write beside them."""
        target = self.root / "app"
        shutil.copytree(app, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        return target

    def logs(self) -> str:
        return "\n".join(file.read_text(errors="replace")[-6000:] for file in sorted(self.root.glob("*.log")))

    def stop(self) -> None:
        """End every process, and whatever they have started."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        # Apps run in sessions of their own: they end, and clear up, when they find that what started them is gone.
        deadline = time.monotonic() + GRACE_SECONDS
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.2)
        # Those of a SuperLink that is stopped in mid-run can outlive it.
        await_true(self._kill_apps, "the end of all apps", GRACE_SECONDS)

    def running(self) -> list[int]:
        """Processes that have this federation's environment, by their ids."""
        mark = f"FLWR_HOME={self.root / 'flwr'}".encode()
        return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if mark in _environment_of(folder)]

    def _kill_apps(self) -> bool:
        """Kill what still has this federation's environment. Returns whether nothing had."""
        left = self.running()
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return not left

    def _spawn(self, program: str, *arguments: str, extra: dict[str, str] | None = None) -> None:
        with (self.root / f"{len(self._processes)}-{program}.log").open("wb") as log:
            process = subprocess.Popen(
                [str(self._programs / program), *arguments],
                env={**self.environment, **(extra or {})},
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@contextlib.contextmanager
def local_federation(root: Path, launchers: Path | None = None) -> Iterator[LocalFederation]:
    federation = LocalFederation(root, launchers)
    try:
        yield federation
    finally:
        federation.stop()
