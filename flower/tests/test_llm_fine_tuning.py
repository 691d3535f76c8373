import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from llm_fine_tuning.base import BaseModelError, ByteTokenizer, load_base
from llm_fine_tuning.exchange import BaseFacts, ExchangeError, agree, read_config, start_answer
from llm_fine_tuning.instructions import BUNDLED_FILE, MAX_PROBLEMS, Instruction, read_folder, read_node_instructions
from llm_fine_tuning.plan import LEARNING_RATE, Plan
from llm_fine_tuning.stacking import stack_layers, unstack_layers
from llm_fine_tuning.training import example_of
from oneflower.errors import TrainingFailedError
from oneflower.rows import DataRefusedError
from oneflower.settings import RunConfigError

TWO = {"partition-id": 1, "num-partitions": 2}
BASE = BaseFacts("tiny", "ab" * 32, 1000)


def lines_of(count: int) -> str:
    return "".join(json.dumps({"instruction": f"q{n}", "response": f"a{n}", "more": n}) + "\n" for n in range(count))


def refusal(folder: Path) -> list[str]:
    with pytest.raises(DataRefusedError) as caught:
        read_folder(folder)
    return [str(problem) for problem in caught.value.problems]


def test_bundled_instructions_are_sound_different_and_shared_out_whole() -> None:
    parts = [
        read_node_instructions({"partition-id": place, "num-partitions": 3}, {}, bundled=True) for place in range(3)
    ]
    everything = [one for part in parts for one in (*part.train, *part.held_out)]
    assert len(everything) == len(BUNDLED_FILE.read_text().splitlines()) > 150
    assert len({one.instruction for one in everything}) == len(everything)
    assert [(part.source, part.partition) for part in parts] == [("bundled", 0), ("bundled", 1), ("bundled", 2)]
    for part in parts:
        assert part.held_out_rows == part.rows // 4
        assert not set(part.train) & set(part.held_out)


def test_own_instructions_are_used_whole_and_stray_files_change_nothing(tmp_path: Path) -> None:
    environment = {"ONEFLOWER_DATA": str(tmp_path)}
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / ".hidden.jsonl").write_text("not even JSON")
    (tmp_path / "notes.txt").write_text("no data")
    assert read_node_instructions(TWO, environment, bundled=True).source == "bundled"
    (tmp_path / "b.jsonl").write_text(lines_of(8))
    (tmp_path / "a.jsonl").write_text("\ufeff" + lines_of(4) + "\n")
    own = read_node_instructions(TWO, environment, bundled=True)
    assert (own.source, own.partition, own.rows, own.held_out_rows) == ("folder", None, 12, 3)
    assert own.train[0] == Instruction("q0", "a0")


def test_a_node_without_instructions_is_told_so(tmp_path: Path) -> None:
    environment = {"ONEFLOWER_DATA": str(tmp_path)}
    with pytest.raises(DataRefusedError, match=r"no instructions .* no \.jsonl file in .*, and bundled-data is false"):
        read_node_instructions(TWO, environment, bundled=False)
    with pytest.raises(DataRefusedError, match="the app carries none"):
        read_node_instructions(TWO, environment, bundled=True, file=tmp_path / "absent")
    with pytest.raises(DataRefusedError, match="partition-id is not given"):
        read_node_instructions({}, {}, bundled=True)
    with pytest.raises(DataRefusedError, match="at least 8 are wanted"):
        read_node_instructions({"partition-id": 0, "num-partitions": 100}, {}, bundled=True)
    (tmp_path / "a.jsonl").write_text(lines_of(7))
    with pytest.raises(DataRefusedError, match="7 instructions, at least 8"):
        read_node_instructions(TWO, environment, bundled=True)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"no json", "is not JSON"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "is no object with instruction and response"),
        (b'{"instruction": "q"}', "the field response is missing"),
        (b'{"instruction": 1, "response": "a"}', "the field instruction is no text, or empty"),
        (b'{"instruction": " ", "response": "a"}', "the field instruction is no text, or empty"),
        (b'{"instruction": "\\ud800", "response": "a"}', "the field instruction holds half a character"),
        (b'"' + b"x" * 1_000_001, "is longer than 1000000 bytes"),
    ],
)
def test_bad_lines_are_refused_with_file_line_and_reason(tmp_path: Path, line: bytes, problem: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines_of(2).encode() + line + b"\n" + lines_of(1).encode())
    problems = refusal(tmp_path)
    assert len(problems) == 1
    assert problems[0].startswith(f"a.jsonl, line 3: {problem}")


def test_all_that_is_wrong_is_said_together_up_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("x\n" + lines_of(1) + "y\n")
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "absent.jsonl")
    assert [problem.split(":")[0] for problem in refusal(tmp_path)] == ["a.jsonl, line 1", "a.jsonl, line 3", "b.jsonl"]
    (tmp_path / "a.jsonl").write_text("x\n" * 100_000)
    assert len(refusal(tmp_path)) == MAX_PROBLEMS
    (tmp_path / "a.jsonl").write_text("\n\n")
    assert refusal(tmp_path)[0] == "a.jsonl: holds no instruction"


@given(st.binary(max_size=300))
def test_no_content_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("data")
    (folder / "a.jsonl").write_bytes(content)
    problems: int | None = None
    found: list[Instruction] | None = None
    try:
        found = read_folder(folder)
    except DataRefusedError as refused:
        problems = len(refused.problems)
    assert found if problems is None else 0 < problems <= MAX_PROBLEMS


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80), st.integers(16, 100))
def test_examples_fit_and_always_have_something_to_learn(question: str, answer: str, most: int) -> None:
    one = Instruction(*(text.encode(errors="replace").decode() for text in (question, answer)))
    example = example_of(one, ByteTokenizer(), most)
    assert 0 < example.prompt < len(example.tokens) <= most
    whole = [*one.response.encode(), ByteTokenizer.end]
    told = list(example.tokens[example.prompt :])
    assert told == whole[: len(told)]
    if len(ByteTokenizer().prompt(one.instruction)) + len(whole) <= most:
        assert told == whole
        assert list(example.tokens[: example.prompt]) == ByteTokenizer().prompt(one.instruction)


def test_bad_values_of_the_plan_are_named_together() -> None:
    with pytest.raises(RunConfigError, match=r"framework is 'sklearn'.*local-steps is 0.*model is 'gpt'"):
        Plan.of_run({"framework": "sklearn", "local-steps": 0, "model": "gpt"})
    plan = Plan.of_run({"client-lr": 0.0, "model": "/models/mine"})
    assert (plan.learning_rate, plan.model) == (LEARNING_RATE, "/models/mine")


def test_nodes_agree_and_start_from_the_adapters_of_most() -> None:
    shared, own = {"a": np.ones(2, np.float32)}, {"a": np.zeros(2, np.float32)}
    base, start = agree({node: start_answer(BASE, own if node == 1 else shared) for node in (3, 2, 1)})
    assert base == BASE
    assert start["a"].numpy().tolist() == [1, 1]


def test_what_all_layers_have_alike_travels_as_one_array() -> None:
    layers = {f"model.layers.{n}.q.experts.1.lora_A": np.full((2, 3), n, np.float32) for n in range(12)}
    stacked = stack_layers({**layers, "head.lora_A": np.zeros(1)})
    assert {name: array.shape for name, array in stacked.items()} == {
        "model.layers.*.q.experts.1.lora_A": (12, 2, 3),
        "head.lora_A": (1,),
    }
    assert stacked["model.layers.*.q.experts.1.lora_A"][11, 0, 0] == 11
    again = stack_layers(stacked)
    assert all(again[name] is array for name, array in stacked.items())
    apart = unstack_layers(stacked)
    assert set(apart) == {*layers, "head.lora_A"}
    for name, array in layers.items():
        np.testing.assert_array_equal(apart[name], array)


@pytest.mark.parametrize(
    "arrays",
    [
        {"a.0.b": np.zeros(2), "a.1.b": np.zeros(3)},
        {"a.0.b": np.zeros(2), "a.1.b": np.zeros(2, np.float32)},
        {"a.0.b": np.zeros(2), "a.2.b": np.zeros(2)},
        {"a.00.b": np.zeros(2)},
    ],
)
def test_layers_that_differ_travel_by_themselves(arrays: dict[str, NDArray[Any]]) -> None:
    assert stack_layers(arrays) == arrays
    assert unstack_layers(arrays) == arrays


def test_nodes_with_other_bases_are_refused_by_server_and_node() -> None:
    other = BaseFacts("tiny", "cd" * 32, 1000)
    adapters = {"a": np.ones(2, np.float32)}
    with pytest.raises(ExchangeError, match=r"Node 2 has the base model 'tiny' .*cdcd.*; node 1 has 'tiny' .*abab"):
        agree({1: start_answer(BASE, adapters), 2: start_answer(other, adapters)})
    with pytest.raises(ExchangeError, match="Node 1 did not state its base model"):
        agree({1: RecordDict()})
    with pytest.raises(TrainingFailedError, match="No node proposes arrays to begin with: node 1: it sent no arrays"):
        agree({1: RecordDict({"base": BASE.config()})})
    message = RecordDict({"config": ConfigRecord({**BASE.config(), "server-round": 3})})
    assert read_config(message, BASE) == 3
    with pytest.raises(ExchangeError, match="this node has 'tiny'"):
        read_config(message, other)


def test_what_a_node_calls_its_base_neither_fills_nor_forges_lines() -> None:
    hostile = BaseFacts("x\nERROR :     " * 100_000, "\nERROR : ", 1)
    with pytest.raises(ExchangeError) as caught:
        agree({1: RecordDict({"base": BASE.config()}), 2: RecordDict({"base": hostile.config()})})
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)


def test_a_base_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BaseModelError, match=r"no model in the folder .*: config\.json is missing"):
        load_base(str(tmp_path), 1)
    monkeypatch.setattr("llm_fine_tuning.base.SMOLLM2_PACKAGE", "a-package-that-nobody-has")
    with pytest.raises(BaseModelError, match=r'lacks the package .* set model to "tiny"'):
        load_base("smollm2-135m", 1)


@pytest.mark.parametrize("module", ["server_app", "client_app"])
def test_no_framework_is_imported_before_it_is_used(module: str) -> None:
    names = "{'torch', 'transformers', 'peft', 'sklearn'}"
    program = f"import sys; import llm_fine_tuning.{module}; sys.exit(bool({names} & set(sys.modules)))"
    environment = {"PYTHONPATH": ":".join(sys.path), "FLWR_TELEMETRY_ENABLED": "0"}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0
