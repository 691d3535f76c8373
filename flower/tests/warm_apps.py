"""An app that leaves traces wherever it can, and tells which ones it finds."""

from pathlib import Path

PROJECT = """
[project]
name = "leaky"
version = "1.0.0"
license = "Apache-2.0"
dependencies = ["flwr"]
[tool.hatch.build.targets.wheel]
packages = ["."]
[tool.flwr.app]
publisher = "oneflower"
[tool.flwr.app.components]
serverapp = "leaky.server_app:app"
clientapp = "leaky.client_app:app"
[tool.flwr.app.config]
questions = 2
pause = 0.0
"""
CLIENT = """
import builtins, os, sys, time
from pathlib import Path
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()
calls = 0
times_imported = builtins.times_imported = getattr(builtins, "times_imported", 0) + 1


@app.query()
def query(message: Message, context: Context) -> Message:
    global calls
    calls += 1
    found = {
        "calls": calls,
        "imported": times_imported,
        "variable": os.environ.get("LEAKY", ""),
        "folder": os.getcwd(),
        "attribute": str(getattr(sys, "leaky", "")),
        "files": len([f for f in Path("/proc/self/fd").iterdir() if f.exists() and "leaky-open" in os.readlink(f)]),
        "parent": Path(f"/proc/{os.getppid()}/cmdline").read_text().replace(chr(0), " "),
        "process": os.getpid(),
        "seen": int(context.state["seen"]["times"]) if "seen" in context.state else 0,
    }
    context.state["seen"] = ConfigRecord({"times": found["seen"] + 1})
    os.environ["LEAKY"] = "yes"
    os.chdir("/")
    sys.leaky = "yes"
    sys.kept = open(os.path.join(os.environ["HOME"], "leaky-open"), "a")
    time.sleep(float(context.run_config["pause"]))
    return Message(RecordDict({"found": ConfigRecord(found)}), reply_to=message)
"""
SERVER = """
import json, os
from pathlib import Path
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    answers = []
    for _ in range(int(context.run_config["questions"])):
        nodes = list(grid.get_node_ids())
        asked = [Message(RecordDict({}), dst_node_id=node, message_type="query") for node in nodes]
        for reply in grid.send_and_receive(asked, timeout=100):
            error = str(reply.error.reason) if reply.has_error() else ""
            answers.append({"error": error, **({} if error else dict(reply.content["found"]))})
    target = Path(os.environ["ONEFLOWER_MODELS"]) / f"{context.run_id}.json"
    target.with_suffix(".new").write_text(json.dumps(answers))
    target.with_suffix(".new").rename(target)
"""


def leaky_app(root: Path) -> Path:
    """Write the app into a folder."""
    folder = root / "app"
    (folder / "leaky").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "leaky" / "__init__.py").write_text("")
    (folder / "leaky" / "client_app.py").write_text(CLIENT)
    (folder / "leaky" / "server_app.py").write_text(SERVER)
    return folder
