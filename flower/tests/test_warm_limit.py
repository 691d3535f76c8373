import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import signal, sys, time
from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.supercore.task_identity import TaskIdentity
from oneflower.warm import limit

TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id = 1, 1, 1
limit.GRACE_SECONDS = 0.5
assert limit.DEFAULT_SECONDS == 3600
limit.DEFAULT_SECONDS = 1
limit.end_in_time()
app = ClientApp()
how, config = sys.argv[1], eval(sys.argv[2])

@app.train()
def train(message, context):
    if how == "hang":
        time.sleep(60)
    if how == "stubborn":
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        time.sleep(60)
    return Message(RecordDict({"metrics": MetricRecord({"n": 7})}), reply_to=message)

message = Message(RecordDict(), dst_node_id=2, message_type="train")
context = Context(run_id=1, node_id=2, node_config={}, state=RecordDict(), run_config=config)
try:
    print("reply", app(message=message, context=context).content["metrics"]["n"])
except limit.RoundOverError as error:
    print(error)
time.sleep(0 if how == "hang" else 2)
print("alive", signal.getsignal(signal.SIGALRM) is signal.SIG_DFL)
"""


def run(how: str, config: dict[str, object]) -> tuple[int, list[str]]:
    source = Path(__file__).parents[1] / "src"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, how, repr(config)],
        env={"PYTHONPATH": str(source), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_an_app_that_hangs_ends_with_its_round() -> None:
    told = "The app took longer than the 1 s of a round (round-timeout): nobody waits for it"
    assert run("hang", {"round-timeout": 1}) == (0, [told, "alive True"])


def test_an_app_that_names_no_time_has_that_of_servers_by_default() -> None:
    told = "The app took longer than the 1 s of a round (round-timeout): nobody waits for it"
    assert run("hang", {}) == (0, [told, "alive True"])


def test_an_app_that_does_not_heed_it_ends_with_its_process() -> None:
    assert run("stubborn", {"round-timeout": 1}) == (71, [])


@pytest.mark.parametrize("timeout", [1, "soon", True, 0, 1.5])
def test_an_app_that_is_done_in_time_notices_nothing(timeout: object) -> None:
    assert run("work", {"round-timeout": timeout}) == (0, ["reply 7", "alive True"])
