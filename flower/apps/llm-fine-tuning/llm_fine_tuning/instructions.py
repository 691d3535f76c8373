"""Instructions and the responses that are wanted, one JSON object a line.

The node's own folder (environment variable ONEFLOWER_DATA) comes first and is used whole; without JSONL files in it
a node takes its part of the instructions that come with the app.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from oneflower.data import DATA_VARIABLE
from oneflower.loading import NodeShare
from oneflower.partition import MIN_ROWS, Partition
from oneflower.rows import HELD_OUT_EVERY, DataRefusedError, Problem

BUNDLED_FILE = Path(__file__).with_name("instructions.jsonl")
FIELDS = ("instruction", "response")
MAX_PROBLEMS = 20
# A line of a hostile file must not fill the memory. In bytes.
MAX_LINE = 1_000_000


@dataclass(frozen=True)
class Instruction:
    """What is asked, and what is to be answered."""

    instruction: str
    response: str


class NodeInstructions(NodeShare[tuple[Instruction, ...]]):
    """A node's instructions."""


def read_node_instructions(
    node_config: Mapping[str, object], environment: Mapping[str, str], *, bundled: bool, file: Path = BUNDLED_FILE
) -> NodeInstructions:
    """Instructions of the node's own folder, else its part of those in ``file``, if ``bundled`` ones are allowed.

    :raises DataRefusedError: what is there cannot be used, or there is nothing.
    """
    folder = environment.get(DATA_VARIABLE, "")
    own = read_folder(Path(folder)) if folder else None
    if own is not None:
        return NodeInstructions("folder", *_hold_out(own, folder), partition=None)
    if not bundled or not file.is_file():
        where = f"no .jsonl file in {folder}" if folder else "the node has no data folder"
        reason = "bundled-data is false" if not bundled else "the app carries none"
        problem = Problem(folder or "data folder", None, f"{where}, and {reason}")
        raise DataRefusedError("There are no instructions to fine-tune on", [problem])
    partition = Partition.of_node(node_config, "put .jsonl files into the data folder")
    reading = _Reading()
    reading.read(file)
    mine = reading.instructions()[partition.place :: partition.of]
    return NodeInstructions("bundled", *_hold_out(mine, file.name), partition=partition.place)


def read_folder(folder: Path) -> list[Instruction] | None:
    """All instructions of the folder's JSONL files, in the order of their names; None when it holds none.

    Files that are hidden or do not end in ``.jsonl`` are no data and change nothing.

    :raises DataRefusedError: the folder or a file cannot be read, or lines are no instructions.
    """
    try:
        files = [
            entry
            for entry in sorted(folder.iterdir())
            if entry.suffix.lower() == ".jsonl" and not entry.name.startswith(".") and not entry.is_dir()
        ]
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = Problem(str(folder), None, error.strerror or str(error))
        raise DataRefusedError("The data folder cannot be read", [problem]) from error
    if not files:
        return None
    reading = _Reading()
    for file in files:
        reading.read(file)
    return reading.instructions()


def _hold_out(all_of_them: list[Instruction], origin: str) -> tuple[tuple[Instruction, ...], tuple[Instruction, ...]]:
    """Every fourth is held out; no chance is involved, as each message of a run has a process of its own."""
    if len(all_of_them) < MIN_ROWS:
        problem = Problem(origin, None, f"{len(all_of_them)} instructions, at least {MIN_ROWS} are wanted")
        raise DataRefusedError("The node has too few instructions", [problem])
    held_out = tuple(all_of_them[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY])
    return tuple(one for place, one in enumerate(all_of_them) if (place + 1) % HELD_OUT_EVERY), held_out


class _Reading:
    """What has been read so far; problems are gathered, as people mend a file in one go."""

    def __init__(self) -> None:
        self._instructions: list[Instruction] = []
        self._problems: list[Problem] = []

    def instructions(self) -> list[Instruction]:
        """The instructions, or the refusal of all that was wrong."""
        if self._problems:
            more = f" (the first {MAX_PROBLEMS} problems)" if self._full else ""
            raise DataRefusedError(f"The instructions cannot be used{more}", self._problems)
        return self._instructions

    def read(self, file: Path) -> None:
        """Read one file's lines, noting what is wrong with them."""
        if self._full:
            return
        if not file.is_file():
            self._note(file.name, None, "cannot be read: it is no file, or a link to none")
            return
        before = len(self._instructions)
        try:
            with file.open("rb") as lines:
                number = 0
                while line := lines.readline(MAX_LINE + 1):
                    number += 1
                    if len(line) > MAX_LINE:
                        self._note(file.name, number, f"is longer than {MAX_LINE} bytes")
                        return
                    self._take(file.name, number, line)
                    if self._full:
                        return
        except OSError as error:
            self._note(file.name, None, f"cannot be read: {error.strerror or error}")
        if len(self._instructions) == before and not self._problems:
            self._note(file.name, None, "holds no instruction")

    @property
    def _full(self) -> bool:
        return len(self._problems) >= MAX_PROBLEMS

    def _take(self, name: str, number: int, line: bytes) -> None:
        if not line.strip():
            return
        found = _parse(line, first=number == 1)
        if isinstance(found, str):
            self._note(name, number, found)
        else:
            self._instructions.append(found)

    def _note(self, name: str, line: int | None, error: str) -> None:
        if not self._full:
            self._problems.append(Problem(name, line, error))


def _parse(line: bytes, *, first: bool) -> Instruction | str:
    """The instruction of a line, or what is wrong with it."""
    try:
        record = json.loads(line.decode("utf-8-sig" if first else "utf-8"))
    except UnicodeDecodeError:
        return "is not UTF-8 text"
    except (ValueError, RecursionError):
        return "is not JSON"
    if not isinstance(record, dict):
        return "is no object with instruction and response"
    for field in FIELDS:
        value = record.get(field)
        if not isinstance(value, str) or not value.strip():
            return f"the field {field} is {'missing' if field not in record else 'no text, or empty'}"
        if not value.isprintable() and any(0xD800 <= ord(letter) <= 0xDFFF for letter in value):
            return f"the field {field} holds half a character (a lone surrogate)"
    return Instruction(record["instruction"], record["response"])
