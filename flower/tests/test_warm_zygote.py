import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from conftest import parse_events
from federation import await_true
from oneflower.warm import wire
from warm_zygote import PATIENCE, PROGRAM, Zygote, is_alive, kill, zygote_in


@pytest.fixture
def zygote(tmp_path: Path) -> Iterator[Zygote]:
    with zygote_in(tmp_path) as running:
        yield running


def told(
    zygote: Zygote,
    *arguments: str,
    given: str = "",
    cwd: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    status, output, errors = zygote.ask(*arguments, given=given, cwd=cwd, variables=variables)
    assert (status, errors) == (0, "")
    state: dict[str, Any] = json.loads(output)
    return state


def cold_reasons(zygote: Zygote) -> list[str]:
    return [data["reason"] for data in events_of(zygote, "worker_cold")]


def test_a_fork_is_the_process_that_was_asked_for(zygote: Zygote, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    before = os.umask(0o027)
    try:
        state = told(zygote, "tell", "--token", "secret", given="all of it", cwd=folder)
    finally:
        os.umask(before)
    assert state["argv"][1:] == ["tell", "--token", "secret"]
    assert state["argv"][0].endswith("/flwr-clientapp")
    assert (state["folder"], state["umask"], state["input"]) == (str(folder), 0o027, "all of it")
    assert zygote.environment.items() <= state["environment"].items()
    assert state["leader"]
    assert state["files"] == [0, 1, 2]
    # As in any new Python: SIGPIPE is ignored, Ctrl-C raises.
    assert "default_int_handler" in state["signals"][0]
    assert state["signals"][1:] == ["0", "0", "1"]
    assert state["blocked"] == 0
    assert state["name"] == "flwr-clientapp"
    # A token is on the command line of the asker only, where Flower puts it.
    assert "secret" not in state["command"]


def test_nothing_of_a_process_is_in_the_next_one(zygote: Zygote, tmp_path: Path) -> None:
    first = told(zygote, "leave", str(tmp_path / "open"))
    assert (first["counter"], first["leaked"], first["folder"], first["modules"]) == (1, "yes", "/", ["left_behind"])
    assert len(first["files"]) == 4
    second, third = told(zygote, "tell"), told(zygote, "tell")
    assert (second["counter"], second["leaked"], second["modules"], second["files"]) == (0, None, [], [0, 1, 2])
    assert "LEFT_BEHIND" not in second["environment"]
    assert second["folder"] == str(tmp_path)
    assert len({state["random"] for state in (first, second, third)}) == 3
    assert len({state["numpy"] for state in (first, second, third)}) == 3


@pytest.mark.parametrize(
    ("arguments", "status", "errors"),
    [
        (("exit", "0"), 0, ""),
        (("exit", "3"), 3, ""),
        (("say", "out of luck"), 1, "out of luck\n"),
        (("raise",), 1, "ValueError: no such thing\n"),
        (("die",), -signal.SIGKILL, ""),
    ],
)
def test_the_asker_ends_as_its_fork(zygote: Zygote, arguments: tuple[str, ...], status: int, errors: str) -> None:
    ended, output, said = zygote.ask(*arguments)
    assert (ended, output) == (status, "")
    assert said == errors or (errors and said.endswith(errors))


def test_an_asker_that_is_killed_takes_its_fork_along(zygote: Zygote) -> None:
    asker = zygote.start("sleep", "60")
    fork = int(reading_of(asker))
    kill(asker)
    await_true(lambda: not is_alive(fork), "the end of the fork", PATIENCE)
    assert told(zygote, "tell")["counter"] == 0


def test_signals_go_to_the_fork(zygote: Zygote) -> None:
    asker = zygote.start("mind")
    reading_of(asker)
    asker.terminate()
    output, errors = asker.communicate(timeout=PATIENCE)
    assert (asker.returncode, output, errors) == (5, "goodbye\n", "")


def test_a_message_outlives_its_zygote_and_the_next_one_starts_cold(zygote: Zygote) -> None:
    asker = zygote.start("sleep", "1")
    reading_of(asker)
    kill(zygote.process)
    output, _ = asker.communicate(timeout=PATIENCE)
    assert output == "done\n"
    for _ in range(2):
        assert zygote.ask("tell", "--insecure")[:2] == (0, "plain tell --insecure\n")
    # Said once.
    assert len(cold_reasons(zygote)) == 1
    assert "refused" in cold_reasons(zygote)[0]


def test_a_zygote_ends_with_whoever_started_it(zygote: Zygote) -> None:
    asker = zygote.start("mind")
    fork = int(reading_of(asker))
    os.kill(fork, signal.SIGKILL)
    asker.communicate(timeout=PATIENCE)
    os.close(zygote.lifeline)
    assert zygote.process.wait(PATIENCE) == 0
    zygote.lifeline = os.open(os.devnull, os.O_RDONLY)


@pytest.mark.parametrize(
    ("arguments", "program", "variables", "reason"),
    [
        (("x",), "flwr-clientapp", {"FLWR_LOG_LEVEL": "DEBUG"}, "the environment differs in FLWR_LOG_LEVEL"),
        (("x",), "flwr-serverapp", {}, "the zygote runs flwr-clientapp only"),
        (("--allow-runtime-dependency-installation",), "flwr-clientapp", {}, "the app brings packages of its own"),
    ],
)
def test_what_the_zygote_cannot_do_flower_does(
    zygote: Zygote, arguments: tuple[str, ...], program: str, variables: Mapping[str, str], reason: str
) -> None:
    assert zygote.ask(*arguments, program=program, variables=variables)[:2] == (0, f"plain {arguments[0]}\n")
    assert cold_reasons(zygote) == [reason]


def test_what_means_nothing_may_differ(zygote: Zygote) -> None:
    assert (
        told(zygote, "tell", variables={"TRACEPARENT": "00-1-2-01", "GRPC_VERBOSITY": "ERROR"})["environment"][
            "TRACEPARENT"
        ]
        == "00-1-2-01"
    )


def test_a_fork_has_no_variable_that_its_asker_has_not(zygote: Zygote) -> None:
    del zygote.environment["ONEFLOWER_EVENTS"]
    assert "ONEFLOWER_EVENTS" not in told(zygote, "tell")["environment"]


@pytest.mark.parametrize("variables", [{"ONEFLOWER_WARM": "0"}, {"ONEFLOWER_WARM_FOLDER": "/nowhere"}])
def test_flower_runs_as_it_is_where_nothing_warm_is_wanted(zygote: Zygote, variables: Mapping[str, str]) -> None:
    assert zygote.ask("x", program="flwr-clientapp", variables=variables)[:2] == (0, "plain x\n")
    assert cold_reasons(zygote) == []


def test_a_folder_that_others_may_enter_is_not_trusted(zygote: Zygote) -> None:
    zygote.folder.chmod(0o755)
    assert zygote.ask("tell")[:2] == (0, "plain tell\n")


def test_only_the_user_can_speak_to_the_zygote(zygote: Zygote) -> None:
    path = zygote.folder / "zygote"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    if os.geteuid() == 0:
        # Let it past the file's mode: the zygote looks at who is there.
        for folder in (zygote.folder, path):
            folder.chmod(0o777)
        code = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(9))"
        done = subprocess.run(
            [sys.executable, "-c", code, f"/proc/{os.getpid()}/fd/{os.open(path.parent, os.O_RDONLY)}/zygote"],
            user=65534,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "b''" in done.stdout or "Permission denied" in done.stderr


def test_nonsense_is_refused_and_the_zygote_lives_on(zygote: Zygote) -> None:
    for words in (b"\xff\xff\xff\xff", b"\x00\x00\x00\x02[]", b"\x00\x00\x00\x09{broken", b"\x00"):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(PATIENCE)
            with wire.short_path(zygote.folder / "zygote") as short:
                stranger.connect(short)
            assert wire.receive(stranger)[0] is not None
            stranger.sendall(words)
            stranger.shutdown(socket.SHUT_WR)
            answer, _ = wire.receive(stranger)
            assert answer is None or "the request cannot be read" in answer["refused"]
    assert told(zygote, "tell")["counter"] == 0


def test_a_fork_and_its_asker_may_end_at_once(zygote: Zygote) -> None:
    asker = zygote.start("sleep", "60")
    fork = int(reading_of(asker))
    with socket.socket(socket.AF_UNIX) as stranger, wire.short_path(zygote.folder / "zygote") as short:
        stranger.settimeout(PATIENCE)
        stranger.connect(short)
        assert wire.receive(stranger)[0] is not None
        # Half a head keeps the zygote busy until both ends wait for it.
        stranger.sendall(b"\x00")
        os.kill(fork, signal.SIGKILL)
        await_true(lambda: not is_alive(fork), "the end of the fork", PATIENCE)
        kill(asker)
    assert told(zygote, "tell")["counter"] == 0
    assert zygote.process.poll() is None


def test_a_zygote_of_other_software_is_not_asked(zygote: Zygote, tmp_path: Path) -> None:
    told(zygote, "tell")
    kill(zygote.process)
    reading, writing = os.pipe()
    other = PROGRAM.replace("import sys\n", "import sys\nfrom oneflower.warm import wire\nwire.PROTOCOL = 0\n")
    arguments = ["flwr-clientapp", str(zygote.folder), str(reading)]
    with subprocess.Popen(
        [sys.executable, "-c", other, *arguments], env=zygote.environment, pass_fds=[reading]
    ) as process:
        os.close(reading)
        try:
            await_true(lambda: len(warm_events(zygote)) == 2, "the other zygote's start", PATIENCE)
            assert zygote.ask("x")[:2] == (0, "plain x\n")
        finally:
            os.close(writing)
            process.wait(PATIENCE)
    assert cold_reasons(zygote) == ["the zygote was started from other software"]


def test_a_deep_folder_is_no_obstacle(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 120)
    deep.mkdir()
    with zygote_in(deep) as zygote:
        assert told(zygote, "tell")["counter"] == 0


def test_a_zygote_says_what_it_holds(zygote: Zygote) -> None:
    told(zygote, "tell")
    (event,) = warm_events(zygote)
    assert event["program"] == "flwr-clientapp"
    assert event["pid"] == zygote.process.pid
    assert event["modules"] == ["numpy"]
    assert 5 < event["memory_mb"] < 500


def warm_events(zygote: Zygote) -> list[dict[str, Any]]:
    return events_of(zygote, "worker_warm")


def events_of(zygote: Zygote, name: str) -> list[dict[str, Any]]:
    file = zygote.root / "events.jsonl"
    events = parse_events(file.read_text()) if file.exists() else []
    return [event["data"] for event in events if event["event"] == name]


def reading_of(asker: subprocess.Popen[str]) -> str:
    assert asker.stdout is not None
    return asker.stdout.readline()
