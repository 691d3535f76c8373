"""What is put into the memory of Flower's processes, and what is not when Flower is another."""

import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flwr
import pytest

from oneflower.warm import launch, modules, wire
from oneflower.warm.keeper import FIRST_PAUSE, LONGEST_PAUSE, StartedZygote, ZygoteKeeper

CHANGE = """
import sys, time
from pathlib import Path
from oneflower.warm import apps, internals, servers
folder = Path(sys.argv[1])
servers.shorten_supernode(folder)
servers.shorten_superexec(folder, lambda: None)
servers.shorten_superlink(folder)
apps.shorten_app("flwr-serverapp")
for name in (servers.SUPERNODE, servers.SUPEREXEC, apps.GRID, apps.LOGGER):
    assert internals.module_of(name).time is not time, name
assert internals.module_of(internals.PULLS).pull_objects.__kwdefaults__["initial_backoff"] < 1
import flwr.app
assert time.sleep.__module__ == "time"
"""
REFUSE = """
import sys, time
from pathlib import Path
from oneflower.warm import apps, internals, servers
{change}
for shorten in (servers.shorten_supernode, lambda _: apps.shorten_app("flwr-serverapp")):
    try:
        shorten(Path(sys.argv[1]))
    except internals.UnknownFlowerError as error:
        print(error)
for name in (servers.SUPERNODE, apps.GRID):
    assert type(internals.module_of(name).time) is not servers.PacedTime, name
"""


def python(program: str, folder: Path) -> str:
    """Runs in a process of its own: what is put into memory stays there."""
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        cwd=Path(__file__).parents[1] / "src",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def digest_of_flower() -> str:
    files = sorted(Path(flwr.__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def test_the_release_that_we_ship_is_known(tmp_path: Path) -> None:
    before = digest_of_flower()
    python(CHANGE, tmp_path)
    assert digest_of_flower() == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("internals.KNOWN_RELEASES = ('9.',)", "the waits of Flower 1.41.0 are not known"),
        (
            "module = internals.module_of(servers.SUPERNODE); del module._push_messages\n"
            "import flwr.superlink.grid.http_grid as g; del g.HttpGrid.send_and_receive",
            "Flower has no function _push_messages where it was",
        ),
        (
            "module = internals.module_of(servers.SUPERNODE); module._push_messages = lambda: 7\n"
            "import flwr.superlink.grid.http_grid as g; g.HttpGrid.send_and_receive = lambda: 7",
            "Flower's _push_messages waits otherwise than it did",
        ),
        (
            "internals.module_of(servers.SUPERNODE).time = sys\n"
            "import flwr.superlink.grid.http_grid as g; g.time = sys",
            "flwr.supernode.start_client_internal does not use the module time as it did",
        ),
    ],
)
def test_another_flower_is_left_as_it_is(tmp_path: Path, change: str, reason: str) -> None:
    assert reason in python(REFUSE.format(change=change), tmp_path)


def test_a_flower_whose_servers_begin_elsewhere_runs_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "flower-supernode"
    own.write_text('#!/bin/sh\necho "plain $*"\n')
    own.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    started = """
import sys
from oneflower.warm import launch
launch.ENTRIES["flower-supernode"] = ("flwr.absent", "flower_supernode", "flwr-clientapp")
launch.main("flower-supernode")
"""
    assert python(started, tmp_path) == f"plain {tmp_path}\n"


def test_only_nodes_import_the_framework() -> None:
    environment = {"ONEFLOWER_FRAMEWORK": "pytorch", "ONEFLOWER_USE_CASE": "llm-fine-tuning"}
    assert {"torch", "peft"} <= set(modules.wanted_modules("flwr-clientapp", environment))
    assert not {"torch", "peft"} & set(modules.wanted_modules("flwr-serverapp", environment))
    assert modules.wanted_modules("flwr-clientapp", {"ONEFLOWER_FRAMEWORK": "unheard of"})


def test_what_cannot_be_imported_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "warm_broken.py").write_text("raise ValueError('broken')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert modules.import_all(["json", "warm_absent", "warm_broken", "csv"]) == ["json", "csv"]


def test_sockets_lie_in_a_folder_of_the_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = tmp_path / f"{launch.FOLDER_PREFIX}{2**22 + 1}-x"
    alive = tmp_path / f"{launch.FOLDER_PREFIX}{os.getpid()}-x"
    # Anyone may make a folder of any name beside ours.
    strange = tmp_path / f"{launch.FOLDER_PREFIX}1x-y"
    for folder in (dead, alive, strange):
        folder.mkdir(mode=0o700)
    monkeypatch.setenv(wire.FOLDER_VARIABLE, "")
    made = launch.socket_folder()
    assert made.parent == tmp_path
    assert made.stat().st_mode & 0o777 == 0o700
    assert os.environ[wire.FOLDER_VARIABLE] == str(made)
    assert launch.socket_folder() == made
    assert (dead.exists(), alive.exists()) == (False, True)

    monkeypatch.setenv(wire.FOLDER_VARIABLE, str(tmp_path / "given"))
    assert launch.socket_folder() == tmp_path / "given"
    (tmp_path / "given").chmod(0o750)
    assert launch.socket_folder() not in (tmp_path / "given", made)


@dataclass
class Process:
    status: int | None = None

    def poll(self) -> int | None:
        return self.status


def test_a_killed_zygote_is_started_again_ever_more_seldom() -> None:
    now = 0.0
    started: list[Any] = []

    def start() -> StartedZygote:
        started.append(Process())
        reading, writing = os.pipe()
        os.close(reading)
        return StartedZygote(started[-1], writing)

    keeper = ZygoteKeeper(start, lambda: now)
    pauses = []
    for _ in range(12):
        keeper.look()
        keeper.look()
        began, count = now, len(started)
        started[-1].status = -9
        keeper.look()
        while len(started) == count:
            now += 0.5
            keeper.look()
        pauses.append(now - began)
    assert pauses[0] == 2 * FIRST_PAUSE
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    now += 1000
    started[-1].status = -9
    keeper.look()
    now += FIRST_PAUSE
    count = len(started)
    keeper.look()
    assert len(started) == count + 1


def test_a_zygote_that_cannot_be_started_is_tried_again_after_a_pause() -> None:
    now = 0.0
    tries = 0

    def start() -> StartedZygote:
        nonlocal tries
        tries += 1
        raise OSError("no more processes")

    keeper = ZygoteKeeper(start, lambda: now)
    keeper.look()
    keeper.look()
    assert tries == 1
    now += 2 * FIRST_PAUSE
    keeper.look()
    keeper.look()
    assert tries == 2
