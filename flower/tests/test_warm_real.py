"""Real Flower through the launchers: warm apps, run after run, with and without their zygote."""

import json
import os
import signal
import stat
from pathlib import Path
from typing import Any

from conftest import parse_events
from federation import LocalFederation, await_true, local_federation
from warm_apps import leaky_app
from warm_zygote import BIN

PATIENCE = 240


def events_of(federation: LocalFederation, name: str) -> list[dict[str, Any]]:
    text = federation.events.read_text() if federation.events.exists() else ""
    return [event["data"] for event in parse_events(text) if event["event"] == name]


def await_result(federation: LocalFederation, run_id: str) -> list[dict[str, Any]]:
    file = federation.models / f"{run_id}.json"
    try:
        await_true(file.exists, "the result of the run", PATIENCE)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{federation.logs()}") from error
    answers: list[dict[str, Any]] = json.loads(file.read_text())
    return answers


def submit(federation: LocalFederation, app: Path, settings: str) -> str:
    answer = json.loads(federation.flwr("run", str(app), "s", "--format=json", "--run-config", settings))
    assert answer["success"], answer
    return str(answer["run-id"])


def zygotes(federation: LocalFederation) -> dict[int, str]:
    commands = {process: Path(f"/proc/{process}/cmdline") for process in federation.running()}
    words = {process: file.read_text().split("\0") for process, file in commands.items() if file.exists()}
    # Forks have the command line of their zygote, and other children.
    own = {process: text for process, text in words.items() if any(word.endswith("oneflower-zygote") for word in text)}
    return {process: text[2] for process, text in own.items() if parent_of(process) not in own}


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])


def test_runs_are_warm_apart_from_one_another_and_outlive_their_zygote(tmp_path: Path) -> None:
    app = leaky_app(tmp_path)
    with local_federation(tmp_path, BIN) as federation:
        federation.environment |= {"ONEFLOWER_FRAMEWORK": "sklearn", "TMPDIR": str(tmp_path)}
        federation.start_superlink()
        federation.start_supernode("")
        await_true(lambda: len(events_of(federation, "worker_warm")) == 2, "the start of two zygotes", PATIENCE)
        warm = {event["program"]: event for event in events_of(federation, "worker_warm")}
        assert "sklearn.metrics" in warm["flwr-clientapp"]["modules"]
        assert not [name for name in warm["flwr-serverapp"]["modules"] if name.startswith("sklearn")]
        assert zygotes(federation) == {event["pid"]: program for program, event in warm.items()}

        for _ in range(2):
            first, second = await_result(federation, submit(federation, app, "questions=2"))
            for answer in (first, second):
                # Each message has a process of its own, and each a world without traces.
                assert (answer["error"], answer["calls"], answer["imported"]) == ("", 1, 1)
                assert (answer["variable"], answer["attribute"], answer["files"]) == ("", "", 0)
                assert answer["folder"] == str(tmp_path)
                assert "oneflower-zygote" in answer["parent"]
            assert first["process"] != second["process"]
            # What is meant to stay does: the run's own context.
            assert (first["seen"], second["seen"]) == (0, 1)
        assert events_of(federation, "worker_cold") == []

        run_id = submit(federation, app, "questions=3 pause=2.0")
        leaving = federation.root / "leaky-open"
        leaving.unlink()
        await_true(leaving.exists, "a message in the making", PATIENCE)
        (zygote,) = [process for process, program in zygotes(federation).items() if program == "flwr-clientapp"]
        os.kill(zygote, signal.SIGKILL)
        answers = await_result(federation, run_id)
        assert [answer["error"] for answer in answers] == ["", "", ""]
        assert [answer["seen"] for answer in answers] == [0, 1, 2]
        await_true(lambda: len(events_of(federation, "worker_warm")) == 3, "another zygote", PATIENCE)
    assert federation.running() == []


def test_apps_are_warm_where_they_are_started_beside_the_node(tmp_path: Path) -> None:
    app = leaky_app(tmp_path)
    sockets = tmp_path / "warm"
    with local_federation(tmp_path, BIN) as federation:
        federation.start_superlink()
        # As the agent says it to all processes of a node.
        federation.environment |= {"ONEFLOWER_WARM_FOLDER": str(sockets), "ONEFLOWER_WARM_PROGRAM": "flwr-clientapp"}
        federation.start_supernode("", isolation="process")
        await_true(lambda: len(events_of(federation, "worker_warm")) == 2, "the start of two zygotes", PATIENCE)
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert {file.name for file in sockets.iterdir()} == {"zygote", "wake"}
        (answer,) = await_result(federation, submit(federation, app, "questions=1"))
        assert "oneflower-zygote" in answer["parent"]
    assert federation.running() == []


def test_flower_runs_as_it_is_where_warm_workers_are_switched_off(tmp_path: Path) -> None:
    app = leaky_app(tmp_path)
    with local_federation(tmp_path, BIN) as federation:
        federation.environment["ONEFLOWER_WARM"] = "0"
        federation.start_superlink()
        federation.start_supernode("")
        (answer,) = await_result(federation, submit(federation, app, "questions=1"))
        assert (answer["error"], answer["calls"]) == ("", 1)
        assert "flower-superexec" in answer["parent"]
        assert zygotes(federation) == {}
    assert events_of(federation, "worker_warm") == []
