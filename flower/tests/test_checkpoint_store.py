import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneflower.checkpoints.errors import CheckpointDamagedError, CheckpointError
from oneflower.checkpoints.manifest import BestRound, Manifest, RoundRecord
from oneflower.checkpoints.store import CheckpointStore, sha256_of

SOURCES = Path(__file__).parents[1] / "src"


def manifest(server_round: int = 6, *, is_final: bool = False) -> Manifest:
    return Manifest(
        run_id="7",
        fab="oneflower.anomaly-detection.1.0.0.0a1b2c3d",
        app="anomaly-detection",
        framework="sklearn",
        strategy="FedAdam",
        round=server_round,
        num_rounds=10,
        file="",
        sha256="",
        bytes=0,
        arrays={},
        initial={},
        metrics={"loss": 0.5},
        history=[RoundRecord(1, {"loss": 1.0}, 2.5), RoundRecord(2, {}, 1.5, trained=False)],
        best=BestRound(1, "loss", 0.25),
        is_best=False,
        is_final=is_final,
        details={"columns": ["a", "b"]},
        constants=[],
        state={},
        unknown_state=[],
        node_examples={"18446744073709551615": 10},
        versions={"numpy": "2.4.6"},
        privacy={"privacy_clipping_norm": 1.5},
        saved_at="2026-01-02T03:04:05+00:00",
    )


def many_arrays() -> dict[str, Any]:
    """More than ten, as their names in order are not their order; of every shape and kind."""
    arrays: dict[str, Any] = {f"model/layer.{n}.weight": np.full((n, 2), n, dtype=np.float32) for n in range(13)}
    arrays["model/scalar"] = np.array(3.5)
    arrays["model/num_batches_tracked"] = np.array(7, dtype=np.int64)
    arrays["constant/names"] = np.array(["f1", "f22"])
    arrays["model/empty"] = np.zeros((0, 3), dtype=np.float16)
    return arrays


def test_arrays_and_all_that_is_known_of_them_come_back(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "7")
    written = store.save(many_arrays(), manifest())
    back = store.read("round-000006.npz")
    assert back.manifest == written
    assert list(back.arrays) == list(many_arrays())
    for name, array in many_arrays().items():
        assert back.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(back.arrays[name], array, strict=True)
    assert back.part("constant").keys() == {"names"}
    text = json.loads((tmp_path / "7" / "round-000006.json").read_text())
    assert (text["format"], text["file"], text["arrays"]["model/scalar"]) == (
        1,
        "round-000006.npz",
        {"shape": [], "dtype": "float64"},
    )


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20).map("model/{}".format)
dtypes = st.one_of(hnp.floating_dtypes(), hnp.integer_dtypes(), hnp.boolean_dtypes())


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        names.filter(lambda name: not name.endswith(".npy")),
        hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, min_side=0, max_side=3)),
        max_size=14,
    )
)
def test_any_arrays_come_back(tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Any]) -> None:
    store = CheckpointStore(tmp_path_factory.mktemp("checkpoints") / "1")
    store.save(arrays, manifest())
    back = store.read("round-000006.npz").arrays
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array, strict=True)


def truncate(folder: Path) -> None:
    with (folder / "round-000006.npz").open("r+b") as file:
        file.truncate(200)


def flip_a_bit(folder: Path) -> None:
    file = folder / "round-000006.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def of_the_future(folder: Path) -> None:
    file = folder / "round-000006.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 2}))


def without_file(folder: Path) -> None:
    (folder / "round-000006.npz").unlink()


def without_manifest(folder: Path) -> None:
    (folder / "round-000006.json").unlink()


def half_a_manifest(folder: Path) -> None:
    file = folder / "round-000006.json"
    file.write_bytes(file.read_bytes()[:100])


def deep_manifest(folder: Path) -> None:
    (folder / "round-000006.json").write_text("[" * 100_000)


def with_a_huge_number(folder: Path) -> None:
    file = folder / "round-000006.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "metrics": {"eval_loss": 10**400}}))


def of_another_round(folder: Path) -> None:
    for end in ("npz", "json"):
        (folder / f"round-000005.{end}").rename(folder / f"round-000006.{end}")


def with_a_pickle(folder: Path) -> None:
    np.savez(folder / "evil.npz", a=np.array([{}], dtype=object))
    (folder / "evil.npz").rename(folder / "round-000006.npz")
    vouch(folder)


def with_other_arrays(folder: Path) -> None:
    np.savez(folder / "other.npz", a=np.zeros(3))
    (folder / "other.npz").rename(folder / "round-000006.npz")
    vouch(folder)


def vouch(folder: Path) -> None:
    """A manifest whose size and hash are those of the file."""
    manifest_file, file = folder / "round-000006.json", folder / "round-000006.npz"
    values = {**json.loads(manifest_file.read_text()), "sha256": sha256_of(file), "bytes": file.stat().st_size}
    manifest_file.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("harm", "damage"),
    [
        (truncate, "size"),
        (flip_a_bit, "hash"),
        (of_the_future, "newer format"),
        (without_file, "file missing"),
        (without_manifest, "manifest missing"),
        (half_a_manifest, "manifest unreadable"),
        (deep_manifest, "manifest unreadable"),
        (with_a_huge_number, "manifest unreadable"),
        (of_another_round, "manifest unreadable"),
        (with_a_pickle, "content"),
        (with_other_arrays, "content"),
    ],
)
def test_every_damage_is_refused_by_its_name_and_the_one_before_is_found(
    harm: Callable[[Path], None], damage: str, tmp_path: Path
) -> None:
    store = CheckpointStore(tmp_path / "7")
    for number in (4, 5, 6):
        store.save(many_arrays(), manifest(number))
    harm(store.folder)
    with pytest.raises(CheckpointDamagedError, match=damage) as refusal:
        store.read("round-000006.npz")
    assert refusal.value.damage == damage
    assert "7/round-000006.npz" in str(refusal.value)
    newest = store.newest_readable()
    assert newest is not None
    assert newest.manifest.round == (4 if harm is of_another_round else 5)


SOUND: list[tuple[str, object]] = [
    ("best", None),
    ("history", []),
    ("run_id", "text"),
    ("state", {"round": -1}),
    ("state", {"a": "b"}),
    ("metrics", {"round": -1}),
]


@pytest.mark.parametrize("field", ["history", "best", "metrics", "arrays", "bytes", "run_id", "is_final", "state"])
@pytest.mark.parametrize("value", [None, 1.5, "text", [], [1], {"round": -1}, {"a": "b"}, -1])
def test_a_manifest_of_wrong_kinds_is_refused(tmp_path: Path, field: str, value: object) -> None:
    store = CheckpointStore(tmp_path / "7")
    store.save({"model/a": np.zeros(1)}, manifest())
    file = tmp_path / "7" / "round-000006.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), field: value}))
    if (field, value) in SOUND:
        store.read("round-000006.npz")
        return
    with pytest.raises(CheckpointDamagedError):
        store.read("round-000006.npz")


def test_what_is_there_is_listed_by_round_and_strangers_are_passed_over(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "7")
    assert store.manifests() == []
    assert store.newest_readable() is None
    for number in (1_000_000, 2, 10):
        store.save({"model/a": np.zeros(1)}, manifest(number))
    for stray in ("round-000003.json", "round-x.json", ".round-000004.npz.abc.new", "notes.txt"):
        (store.folder / stray).write_text("{}")
    assert [found.round for found in store.manifests()] == [2, 10, 1_000_000]
    store.remove("round-000002.npz")
    assert [found.round for found in store.manifests()] == [10, 1_000_000]


def test_a_checkpoint_of_another_run_is_adopted_without_a_copy(tmp_path: Path) -> None:
    old, new = CheckpointStore(tmp_path / "7"), CheckpointStore(tmp_path / "8")
    written = old.save(many_arrays(), manifest(is_final=True))
    new.adopt(old, replace(written, is_final=False))
    assert (new.folder / written.file).samefile(old.folder / written.file)
    assert new.read(written.file).manifest.is_final is False
    assert old.read(written.file).manifest.is_final is True


def test_where_no_links_can_be_made_a_checkpoint_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    old, new = CheckpointStore(tmp_path / "7"), CheckpointStore(tmp_path / "8")
    new.adopt(old, old.save(many_arrays(), manifest()))
    assert list(new.read("round-000006.npz").arrays) == list(many_arrays())


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "7")
    store.save({"model/a": np.zeros(10)}, manifest(5))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32 * 1024, hard))
    try:
        with pytest.raises(CheckpointError, match="round 6 could not be written"):
            store.save({"model/a": np.zeros(100_000)}, manifest(6))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(entry.name for entry in store.folder.iterdir()) == ["round-000005.json", "round-000005.npz"]


WRITER = """
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
import numpy as np
from oneflower.checkpoints.manifest import parse_manifest
from oneflower.checkpoints.store import CheckpointStore
store = CheckpointStore(Path(sys.argv[1]))
plain = parse_manifest(sys.argv[2])
for number in range(1, 100_000):
    store.save({f"model/{n}": np.full(20_000, number) for n in range(12)}, replace(plain, round=number))
    if number > 3:
        store.remove(f"round-{number - 3:06d}.npz")
    print(number, flush=True)
"""


@pytest.mark.parametrize("seed", range(20))
def test_a_kill_at_any_moment_leaves_the_newest_checkpoint_readable(seed: int, tmp_path: Path) -> None:
    folder = tmp_path / "7"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), manifest().to_json()],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(SOURCES), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert writer.stdout is not None
    told = int(writer.stdout.readline())
    time.sleep(random.Random(seed).uniform(0, 0.15))  # noqa: S311
    writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read().split()
    writer.stdout.close()
    writer.wait()
    told = int(rest[-1]) if rest else told
    newest = CheckpointStore(folder).newest_readable()
    assert newest is not None
    assert newest.manifest.round in (told, told + 1)
    np.testing.assert_array_equal(newest.arrays["model/11"], np.full(20_000, newest.manifest.round))
