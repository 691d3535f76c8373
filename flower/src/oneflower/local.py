"""Runs a Flower app's ServerApp and ClientApps in this one process, without SuperLink and SuperNodes.

    python -m oneflower.local APP_FOLDER --nodes 3 --run-config strategy='"FedAdam"' --run-config num-server-rounds=5

prints one JSON document: ``sha256`` of the final model file or null, ``details`` of the model, ``rounds`` (round,
metrics, failed nodes), ``events`` as the agent would read them, and ``error`` (null or why the run failed). Strategies,
messages and run configuration are Flower's own; time limits do not apply, as nodes answer one after the other.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.config import flatten_dict, fuse_dicts, get_project_config, parse_config_args
from flwr.serverapp import ServerApp
from flwr.supercore.object_ref import load_app
from numpy.typing import NDArray

from oneflower.data import DATA_VARIABLE
from oneflower.events import EVENTS_VARIABLE
from oneflower.local_grid import SUPERLINK_NODE, LocalGrid, LocalNode, Tamper, environment, identity
from oneflower.log import logger
from oneflower.model_file import MODELS_VARIABLE, read_model

RUN_ID = 1
FIRST_NODE = 1001

RunConfigValues = dict[str, bool | float | int | str]


class LocalRunError(Exception):
    """The app cannot be run as asked."""


@dataclass(frozen=True)
class LocalRun:
    """What a run came to. ``arrays``, ``sha256`` and ``details`` are those of the final model, if there is one."""

    events: list[dict[str, Any]]
    error: str | None
    sha256: str | None = None
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def rounds(self) -> list[dict[str, Any]]:
        """Number, metrics and count of failed nodes of each round that ended."""
        ends = (event["data"] for event in self.events if event["event"] == "round_end")
        return [{"round": end["round"], "metrics": end["metrics"], "failed": end["num_clients_failed"]} for end in ends]

    def metric(self, name: str) -> float:
        """A metric of the last round.

        :raises KeyError: the last round has no such metric, or there was none.
        """
        if not self.rounds:
            raise KeyError(f"No round ended: {self.error}")
        return float(self.rounds[-1]["metrics"][name])

    def document(self) -> dict[str, object]:
        """The run as it goes into JSON."""
        told = {"sha256": self.sha256, "details": self.details, "rounds": self.rounds}
        return {**told, "events": self.events, "error": self.error}


def read_run_config(app: Path, pairs: Sequence[str] = ()) -> RunConfigValues:
    """The app's configuration with ``KEY=VALUE`` pairs of TOML laid over it, as ``flwr run`` and the SuperLink do it.

    :raises LocalRunError: the folder is no Flower app, a pair is malformed, or the app does not declare its key.
    """
    try:
        declared = flatten_dict(get_project_config(app)["tool"]["flwr"]["app"].get("config"))
        return fuse_dicts(declared, parse_config_args(list(pairs)), check_keys=True)
    except click.ClickException as error:
        raise LocalRunError(error.message) from error
    except (OSError, KeyError, ValueError) as error:
        raise LocalRunError(f"Invalid run configuration of {app}: {error}") from error


def run_local(
    app: Path,
    nodes: int,
    run_config: Sequence[str] = (),
    data: Sequence[Path] = (),
    tamper: Tamper | None = None,
    variables: Mapping[str, str | None] | None = None,
) -> LocalRun:
    """Run an app to its end.

    :param run_config: ``KEY=VALUE`` pairs of TOML.
    :param data: data folders, one for each node; none for bundled data by partition.
    :param tamper: changes what nodes answer.
    :param variables: environment variables of all app processes, such as ONEFLOWER_CHECKPOINTS.
    :raises LocalRunError: the app cannot be run as asked; an error of the app itself is in the result instead.
    """
    if data and len(data) != nodes:
        raise LocalRunError(f"{len(data)} data folders for {nodes} nodes: give one for each or none")
    values = read_run_config(app, run_config)
    components = get_project_config(app)["tool"]["flwr"]["app"]["components"]
    server: ServerApp = load_app(components["serverapp"], LocalRunError, app)
    client: ClientApp = load_app(components["clientapp"], LocalRunError, app)
    folders: list[Path | None] = list(data) or [None] * nodes
    grid = LocalGrid(
        RUN_ID,
        {FIRST_NODE + i: _node(client, values, i, nodes, folder) for i, folder in enumerate(folders)},
        tamper,
    )
    context = Context(
        run_id=RUN_ID, node_id=SUPERLINK_NODE, node_config={}, state=RecordDict(), run_config=dict(values)
    )
    with tempfile.TemporaryDirectory(prefix="oneflower-local-") as name:
        folder = Path(name)
        journal = folder / "events.jsonl"
        own = {EVENTS_VARIABLE: str(journal), MODELS_VARIABLE: name, **(variables or {})}
        with environment(own), identity(RUN_ID, SUPERLINK_NODE):
            error = _serve(server, grid, context)
        lines = journal.read_text("utf-8").splitlines() if journal.exists() else []
        return _result([json.loads(line) for line in lines], error, Path(own[MODELS_VARIABLE] or name))


def _node(client: ClientApp, values: RunConfigValues, place: int, nodes: int, folder: Path | None) -> LocalNode:
    context = Context(
        run_id=RUN_ID,
        node_id=FIRST_NODE + place,
        node_config={"partition-id": place, "num-partitions": nodes},
        state=RecordDict(),
        run_config=dict(values),
    )
    return LocalNode(client, context, {DATA_VARIABLE: str(folder) if folder else None})


def _serve(server: ServerApp, grid: LocalGrid, context: Context) -> str | None:
    """Run the ServerApp; returns what it raised, as Flower would state it."""
    try:
        server(grid=grid, context=context)
    except Exception as error:
        logger.error("The ServerApp raised an exception", exc_info=error)
        return str(error) or type(error).__name__
    return None


def _result(events: list[dict[str, Any]], error: str | None, models: Path) -> LocalRun:
    written = [event["data"]["file"] for event in events if event["event"] == "model_written"]
    if not written:
        return LocalRun(events, error)
    file = models / written[-1]
    details = json.loads(file.with_suffix(".json").read_text("utf-8"))
    return LocalRun(events, error, hashlib.sha256(file.read_bytes()).hexdigest(), read_model(file), details)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status: 1 for a run that failed, 2 for one that could not begin."""
    parser = argparse.ArgumentParser(prog="python -m oneflower.local", description="Run a Flower app in one process.")
    parser.add_argument("app", type=Path, help="folder of the app, with its pyproject.toml")
    parser.add_argument("--nodes", type=int, required=True, help="number of nodes")
    parser.add_argument("--run-config", action="append", default=[], metavar="KEY=VALUE", help="as flwr run takes it")
    parser.add_argument("--data", type=Path, nargs="+", default=[], metavar="DIR", help="a data folder for each node")
    asked = parser.parse_args(arguments)
    if asked.nodes < 1:
        parser.error("--nodes must be at least 1")
    try:
        # Standard output is for the document alone.
        with redirect_stdout(sys.stderr):
            done = run_local(asked.app, asked.nodes, asked.run_config, asked.data)
        document, status = done.document(), 1 if done.error else 0
    except LocalRunError as error:
        document, status = LocalRun([], str(error)).document(), 2
    print(json.dumps(document, allow_nan=False))
    return status


if __name__ == "__main__":
    sys.exit(main())
