import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneflower.data_folder import MAX_PROBLEMS, read_folder
from oneflower.rows import DataRefusedError

GOOD = "a,b,label\n1,2.5,0\n-3,4e2,1\n"


def folder_with(folder: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / f"{name}.csv").write_bytes(data)
    return folder


def refusal(folder: Path) -> list[str]:
    with pytest.raises(DataRefusedError) as caught:
        read_folder(folder)
    return [str(problem) for problem in caught.value.problems]


def test_files_are_read_whole_in_order_of_name(tmp_path: Path) -> None:
    rows = read_folder(folder_with(tmp_path, b="a,b,label\n7,8,0\n", a=GOOD))
    assert rows is not None
    assert rows.columns == ("a", "b")
    assert rows.features.tolist() == [[1, 2.5], [-3, 400], [7, 8]]
    assert rows.labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffa,b,label\n1,2,0\n",
        "a,b,label\r\n1,2,0\r\n",
        'a,b,label\n"1"," 2 ",0.0\n\n',
        " a , b ,label\n1,2,0",
    ],
)
def test_what_spreadsheets_write_is_understood(tmp_path: Path, content: str) -> None:
    rows = read_folder(folder_with(tmp_path, a=content))
    assert rows is not None
    assert rows.columns == ("a", "b")
    assert rows.features.tolist() == [[1, 2]]


def test_without_csv_files_there_is_no_data_of_its_own(tmp_path: Path) -> None:
    assert read_folder(tmp_path / "absent") is None
    assert read_folder(tmp_path) is None
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / ".hidden.csv").write_text(GOOD)
    (tmp_path / "notes.txt").write_text("no data")
    assert read_folder(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "a.csv: is empty: a header line and rows are wanted"),
        ("a,b,label\n", "a.csv: holds a header but no row"),
        ("1,2,0\n", "a.csv, line 1: the first line holds numbers: a header with the columns' names is wanted"),
        ("a;b;label\n1;2;0\n", "a.csv, line 1: the header has one column"),
        ("a,,label\n", "a.csv, line 1: the header has a column without a name"),
        ("a,a,label\n", "a.csv, line 1: the header names a more than once"),
        ("a,b,label\n1,2,0\n1,2\n", "a.csv, line 3: 2 values, the header has 3"),
        ("a,b,label\n1,x,0\n", "a.csv, line 2: column b: 'x' is not a finite number"),
        ("a,b,label\n1,,0\n", "a.csv, line 2: column b: '' is not a finite number"),
        ("a,b,label\n1,nan,0\n", "a.csv, line 2: column b: 'nan' is not a finite number"),
        ("a,b,label\n1,-inf,0\n", "a.csv, line 2: column b: '-inf' is not a finite number"),
        ("a,b,label\n1,1e300,0\n", "a.csv, line 2: column b: '1e300' is not a finite number"),
        ("a,b,label\n1,1_0,0\n", "a.csv, line 2: column b: '1_0' is not a finite number"),
        ("a,b,label\n1,2,2\n", "a.csv, line 2: the label '2' is neither 0 (normal) nor 1 (anomaly)"),
        ("a,b,label\n1,2,yes\n", "a.csv, line 2: the label 'yes' is neither 0 (normal) nor 1 (anomaly)"),
        (b"a,b,label\n1,2,0\n\xff,2,0\n", "a.csv, line 3: is not UTF-8 text"),
        (b"\x1f\x8b\x08\x00binary", "a.csv, line 1: is not UTF-8 text"),
        ('a,b,label\n1,"2,0\n', "a.csv, line 2: is not CSV"),
    ],
)
def test_bad_lines_are_refused_with_file_line_and_reason(tmp_path: Path, content: str | bytes, problem: str) -> None:
    problems = refusal(folder_with(tmp_path, a=content))
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_all_that_is_wrong_is_said_together_up_to_a_limit(tmp_path: Path) -> None:
    folder_with(tmp_path, a="a,b,label\n1,2\n1,x,0\n1,2,7\n", b="a,c,label\n1,2,0\n")
    assert [problem.split(":")[0] for problem in refusal(tmp_path)] == [
        "a.csv, line 2",
        "a.csv, line 3",
        "a.csv, line 4",
        "b.csv, line 1",
    ]
    folder_with(tmp_path, a="a,b,label\n" + "x,1,0\n" * 100_000)
    assert len(refusal(tmp_path)) == MAX_PROBLEMS


def test_a_long_cell_does_not_fill_the_log(tmp_path: Path) -> None:
    assert len(refusal(folder_with(tmp_path, a=f"a,b,label\n1,{'x' * 100_000},0\n"))[0]) < 200


def test_a_link_to_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "absent.csv")
    assert refusal(tmp_path) == ["a.csv: cannot be read: it is no file, or a link to none"]


def test_an_unreadable_folder_or_file_is_an_error_and_not_an_absent_one(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    assert refusal(plain) == [f"{plain}: Not a directory"]
    if os.geteuid() != 0:
        locked = folder_with(tmp_path, a=GOOD) / "a.csv"
        locked.chmod(0)
        assert refusal(tmp_path) == ["a.csv: cannot be read: Permission denied"]


finite = st.floats(-1e50, 1e50)


@given(st.lists(st.tuples(finite, finite, st.booleans()), min_size=1, max_size=20))
def test_numbers_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[float, float, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("data")
    lines = ["a,b,label", *(f"{a!r},{b!r},{int(label)}" for a, b, label in table)]
    rows = read_folder(folder_with(folder, a="\n".join(lines)))
    assert rows is not None
    np.testing.assert_array_equal(rows.features, [[a, b] for a, b, _ in table])
    assert rows.labels.tolist() == [int(label) for *_, label in table]


@given(st.binary(max_size=200))
def test_no_content_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = folder_with(tmp_path_factory.mktemp("data"), a=content)
    problems: int | None = None
    try:
        rows = read_folder(folder)
    except DataRefusedError as refused:
        problems = len(refused.problems)
    if problems is not None:
        assert 0 < problems <= MAX_PROBLEMS
        return
    assert rows is not None
    assert len(rows) > 0
    assert np.isfinite(rows.features).all()
