"""The event channel from apps to the agent of their VM.

Each event is one JSON line, appended in a single write to the file that the environment variable ONEFLOWER_EVENTS
names. Events and their fields are those of OneFlower's contract with ``from: app``. Without the variable nothing
is written, so that an app runs anywhere. No failure of this channel ever ends a training.
"""

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from oneflower.log import logger

Now = Callable[[], datetime]

EVENTS_VARIABLE = "ONEFLOWER_EVENTS"
MAX_ERROR = 2000
MAX_FILE = 200
MAX_METRIC_NAME = 100
MAX_NODE_ID = 40
MAX_PROGRAM = 100
MAX_DEVICE_NAME = 200


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Events:
    """Events of one run, or of a process (``run_id`` None). ``path`` None means that nobody listens."""

    def __init__(self, run_id: int | None, path: Path | None, now: Now = _utc_now) -> None:
        self._run_id = None if run_id is None else str(run_id)
        self._path = path
        self._now = now

    @classmethod
    def of_run(cls, run_id: int, environment: Mapping[str, str] | None = None) -> "Events":
        """Events of a run, to the file that the environment names."""
        path = _events_file(environment)
        if path is None:
            logger.info("%s is not set: no events are written", EVENTS_VARIABLE)
        return cls(run_id, path)

    @classmethod
    def of_process(cls, environment: Mapping[str, str] | None = None) -> "Events":
        """Events of a process that serves many runs: ``worker_warm`` and ``worker_cold`` only."""
        return cls(None, _events_file(environment))

    def training_start(self, *, strategy: str, num_rounds: int, min_clients: int, first_round: int = 1) -> None:
        """The ServerApp begins. Rounds are counted over all runs that continue one another."""
        data = {"strategy": strategy, "num_rounds": num_rounds, "min_clients": min_clients, "first_round": first_round}
        self._append("training_start", data)

    def waiting_for_nodes(self, *, wanted: int, online: int) -> None:
        """Fewer SuperNodes than wanted are online: training stands still."""
        self._append("waiting_for_nodes", {"wanted": wanted, "online": online})

    def round_start(self, *, server_round: int, num_clients_selected: int) -> None:
        """A round begins."""
        self._append("round_start", {"round": server_round, "num_clients_selected": num_clients_selected})

    def round_end(
        self,
        *,
        server_round: int,
        num_clients_responded: int,
        num_clients_failed: int,
        seconds: float,
        metrics: Mapping[str, object],
    ) -> None:
        """A round is aggregated and evaluated."""
        self._append(
            "round_end",
            {
                "round": server_round,
                "num_clients_responded": num_clients_responded,
                "num_clients_failed": num_clients_failed,
                "round_duration_seconds": _finite_or_zero(seconds),
                "metrics": finite_metrics(metrics),
            },
        )

    def round_failed(self, *, server_round: int, error: str) -> None:
        """No model has come of a round: the one before goes on."""
        self._append("round_failed", {"round": server_round, "error": error[:MAX_ERROR]})

    def round_repeated(self, *, server_round: int, attempt: int, error: str) -> None:
        """Too few SuperNodes have answered: the round is done again, for the ``attempt``-th time (2 is the first)."""
        self._append("round_repeated", {"round": server_round, "attempt": attempt, "error": error[:MAX_ERROR]})

    def checkpoint_saved(self, *, server_round: int, file: str, size: int, best: bool) -> None:
        """A run can be resumed from ``file``, of ``size`` bytes, in the run's folder of checkpoints."""
        data = {"round": server_round, "file": file[:MAX_FILE], "bytes": size, "best": best}
        self._append("checkpoint_saved", data)

    def checkpoint_failed(self, *, server_round: int, error: str) -> None:
        """A checkpoint could not be written; training goes on."""
        self._append("checkpoint_failed", {"round": server_round, "error": error[:MAX_ERROR]})

    def client_failure(self, *, server_round: int, node_id: int, error: str) -> None:
        """A SuperNode answered a message with an error, or not at all. Round 0 is before the first round."""
        data = {"round": server_round, "node_id": str(node_id)[:MAX_NODE_ID], "error": error[:MAX_ERROR]}
        self._append("client_failure", data)

    def model_written(self, *, file: str, server_round: int, metrics: Mapping[str, object]) -> None:
        """The ServerApp has written its final arrays to ``file`` in the models folder.

        What is to be told of them lies beside it, in a file that ends in ``.json``.
        """
        self._append(
            "model_written", {"file": file[:MAX_FILE], "round": server_round, "metrics": finite_metrics(metrics)}
        )

    def model_failed(self, *, server_round: int, error: str) -> None:
        """The final arrays could not be written to the models folder; the checkpoint of the round holds them."""
        self._append("model_failed", {"round": server_round, "error": error[:MAX_ERROR]})

    def training_end(self, *, total_rounds: int, seconds: float, metrics: Mapping[str, object]) -> None:
        """The ServerApp has done all rounds."""
        data = {
            "total_rounds": total_rounds,
            "total_duration_seconds": _finite_or_zero(seconds),
            "metrics": finite_metrics(metrics),
        }
        self._append("training_end", data)

    def data_loaded(self, *, source: str, rows: int, held_out: int, partition_id: int | None) -> None:
        """A ClientApp has loaded its data; ``rows`` counts all rows, the held-out ones too."""
        data = {"source": source, "rows": rows, "held_out": held_out, "partition_id": partition_id}
        self._append("data_loaded", data)

    def node_device(self, *, device: Literal["cpu", "gpu"], name: str) -> None:
        """What a ClientApp computes on."""
        self._append("node_device", {"device": device, "name": name[:MAX_DEVICE_NAME]})

    def worker_warm(self, *, program: str, pid: int, memory_mb: float, modules: Sequence[str]) -> None:
        """A process that has the framework loaded waits for messages."""
        memory = _finite_or_zero(memory_mb)
        data = {"program": program[:MAX_PROGRAM], "pid": pid, "memory_mb": memory, "modules": list(modules)}
        self._append("worker_warm", data)

    def worker_cold(self, *, program: str, reason: str) -> None:
        """A message was given to a process of Flower's own instead of a warm one."""
        self._append("worker_cold", {"program": program[:MAX_PROGRAM], "reason": reason[:MAX_ERROR]})

    def data_refused(self, *, file: str, line: int | None, error: str) -> None:
        """A data file holds what is not data."""
        self._append("data_refused", {"file": file, "line": line, "error": error[:MAX_ERROR]})

    def _append(self, event: str, data: Mapping[str, object]) -> None:
        if self._path is None:
            return
        timestamp = self._now().isoformat(timespec="milliseconds")
        run = {} if self._run_id is None else {"run_id": self._run_id}
        record = {"event": event, "timestamp": timestamp, "data": {**run, **data}}
        line = json.dumps(record, allow_nan=False, separators=(",", ":")) + "\n"
        try:
            _append_line(self._path, line.encode("ascii"))
        except OSError as error:
            logger.warning("Event %s could not be written to %s: %s", event, self._path, error)


def _events_file(environment: Mapping[str, str] | None) -> Path | None:
    value = (os.environ if environment is None else environment).get(EVENTS_VARIABLE, "")
    return Path(value) if value else None


def _append_line(path: Path, line: bytes) -> None:
    """One write, as several processes of several runs append to the same file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        written = os.write(descriptor, line)
        if written != len(line):
            # End the torn line, so that the next event is not lost with it.
            os.write(descriptor, b"\n")
            raise OSError(f"only {written} of {len(line)} bytes were taken")
    finally:
        os.close(descriptor)


def finite_metrics(metrics: Mapping[str, object]) -> dict[str, float]:
    """The single finite numbers among metrics: JSON knows neither NaN nor infinity, and no view shows lists."""
    kept: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            continue
        kept[name[:MAX_METRIC_NAME]] = value
    return kept


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _finite_or_zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0
