import fcntl
import os
import resource
import signal
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from federation import await_true
from llm_fine_tuning.unpacked import DRAFT, LOCK, MANIFEST, UNUSED, load_once

WEIGHTS = "weights"


class Unpacker:
    """Counts what is unpacked and what is loaded."""

    def __init__(self, content: str = "unpacked") -> None:
        self.content = content
        self.unpacked = 0
        self.loaded = 0

    def get(self, folder: Path) -> str:
        return load_once(folder, self.load, self.unpack, save)

    def load(self, folder: Path) -> str:
        self.loaded += 1
        return (folder / WEIGHTS).read_text()

    def unpack(self) -> str:
        self.unpacked += 1
        return self.content


def save(content: str, folder: Path) -> None:
    (folder / WEIGHTS).write_text(content)


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models" / "one"


def test_a_model_is_unpacked_once_and_kept_from_other_users(folder: Path) -> None:
    unpacker = Unpacker()
    assert [unpacker.get(folder) for _ in range(3)] == ["unpacked"] * 3
    assert (unpacker.unpacked, unpacker.loaded) == (1, 2)
    assert entries(folder.parent) == [LOCK, "one"]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, *folder.parent.rglob("*"))}
    assert {oct(mode) for path, mode in modes.items() if path.is_dir()} == {"0o700"}
    assert {oct(mode) for path, mode in modes.items() if path.is_file()} == {"0o600"}


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: flip(kept / WEIGHTS),
        lambda kept: (kept / WEIGHTS).write_text("un"),
        lambda kept: (kept / WEIGHTS).unlink(),
        lambda kept: (kept / MANIFEST).unlink(),
        lambda kept: (kept / MANIFEST).write_bytes(b"\xff"),
        lambda kept: (kept / "more").write_text(""),
    ],
)
def test_what_is_damaged_is_made_anew(folder: Path, damage: Callable[[Path], object]) -> None:
    Unpacker().get(folder)
    damage(folder)
    unpacker = Unpacker()
    assert [unpacker.get(folder), unpacker.get(folder)] == ["unpacked", "unpacked"]
    assert (unpacker.unpacked, unpacker.loaded) == (1, 1)
    assert entries(folder) == [MANIFEST, WEIGHTS]


def unused(folder: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(folder, (then, then))


def test_models_that_are_long_unused_and_unfinished_ones_go(folder: Path) -> None:
    Unpacker("old").get(folder.parent / "old")
    unused(folder.parent / "old", UNUSED + 60)
    (folder.parent / f"{DRAFT}1").mkdir()
    assert Unpacker("new").get(folder) == "new"
    assert entries(folder.parent) == [LOCK, "one"]


def test_each_of_several_releases_unpacks_once(folder: Path) -> None:
    unpackers = {name: Unpacker(name) for name in ("one", "two")}
    for _ in range(3):
        for name, unpacker in unpackers.items():
            assert unpacker.get(folder.parent / name) == name
    assert [(unpacker.unpacked, unpacker.loaded) for unpacker in unpackers.values()] == [(1, 2), (1, 2)]


def test_a_model_that_is_used_stays(folder: Path) -> None:
    Unpacker().get(folder)
    unused(folder, UNUSED + 60)
    Unpacker().get(folder)
    Unpacker("other").get(folder.parent / "other")
    assert entries(folder.parent) == [LOCK, "one", "other"]


def test_what_is_no_folder_does_not_hinder(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.parent.mkdir()
    (folder.parent / "file").touch()
    (folder.parent / "link").symlink_to(elsewhere)
    folder.symlink_to(tmp_path / "nothing")
    unpacker = Unpacker()
    assert [unpacker.get(folder), unpacker.get(folder)] == ["unpacked", "unpacked"]
    assert (unpacker.unpacked, unpacker.loaded) == (1, 1)
    assert entries(folder.parent) == [LOCK, "one"]
    assert elsewhere.is_dir()


def test_what_is_whole_but_cannot_be_loaded_is_made_anew(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Picky(Unpacker):
        def load(self, folder: Path) -> str:
            content = super().load(folder)
            if content != "good":
                raise ValueError(f"this is {content}")
            return content

    monkeypatch.setattr("oneflower.log.logger.parent.propagate", True)
    Unpacker("strange").get(folder)
    unpacker = Picky("good")
    assert [unpacker.get(folder), unpacker.get(folder)] == ["good", "good"]
    assert unpacker.unpacked == 1
    assert "cannot be loaded: this is strange" in caplog.text


def test_what_goes_between_check_and_load_is_unpacked(folder: Path) -> None:
    class Robbed(Unpacker):
        def load(self, folder: Path) -> str:
            (folder / WEIGHTS).unlink()
            return super().load(folder)

    Unpacker().get(folder)
    assert Robbed("anew").get(folder) == "anew"
    assert Unpacker().get(folder) == "anew"


def test_where_nothing_can_be_written_it_is_unpacked_each_time(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oneflower.log.logger.parent.propagate", True)
    folder.parent.write_text("a file")
    unpacker = Unpacker()
    assert [unpacker.get(folder), unpacker.get(folder)] == ["unpacked", "unpacked"]
    assert (unpacker.unpacked, unpacker.loaded) == (2, 0)
    assert len([message for message in caplog.messages if "each message unpacks it again" in message]) == 2


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Writing more than 1000 bytes to a file fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_is_left_as_it_was(folder: Path) -> None:
    unpacker = Unpacker("x" * 2000)
    assert unpacker.get(folder) == unpacker.content
    assert entries(folder.parent) == [LOCK]


def test_who_comes_while_another_unpacks_waits_and_loads(folder: Path) -> None:
    unpacker = Unpacker()
    folder.parent.mkdir()
    with (folder.parent / LOCK).open("w") as lock, ThreadPoolExecutor(1) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = f":{os.fstat(lock.fileno()).st_ino} "
        second = pool.submit(unpacker.get, folder)
        await_true(lambda: any("->" in line and waiting in line for line in locks()), "a wait for the lock", 60)
        Unpacker("of the first").get(folder.parent.parent / "elsewhere" / "one")
        (folder.parent.parent / "elsewhere" / "one").rename(folder)
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert second.result(60) == "of the first"
    assert (unpacker.unpacked, unpacker.loaded) == (0, 1)


def locks() -> list[str]:
    return Path("/proc/locks").read_text().splitlines()
