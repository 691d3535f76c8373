import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
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


def test_labels_are_numbers_or_words(tmp_path: Path) -> None:
    labels = ("false", "True", "FALSE", '" true "', "0.0", "1", "fAlSe")
    rows = read_folder(folder_with(tmp_path, a="a,label\n" + "".join(f"1,{label}\n" for label in labels)))
    assert rows is not None
    assert rows.labels.tolist() == [0, 1, 0, 1, 0, 1, 0]


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
        ("1,2,True\n", "a.csv, line 1: the first line holds numbers: a header with the columns' names is wanted"),
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
        ("a,b,label\n1,true,0\n", "a.csv, line 2: column b: 'true' is not a finite number"),
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


def parquet_with(file: Path, columns: dict[str, Any], **options: int) -> None:
    from arro3.core import Array, Table
    from arro3.io import write_parquet

    table = {
        name: Array.from_numpy(value) if isinstance(value, np.ndarray) else value for name, value in columns.items()
    }
    write_parquet(Table.from_pydict(table), file, **options)


def nullable(values: list[Any], kind: str) -> Any:  # noqa: ANN401
    from arro3.core import Array, DataType

    return Array(values, type=getattr(DataType, kind)())


def test_parquet_files_are_read_like_csv_files_and_together_with_them(tmp_path: Path) -> None:
    folder_with(tmp_path, b=GOOD)
    columns = {"a": np.array([5, 6], np.int32), "b": np.array([0.5, -1], np.float32), "fault": np.array([True, False])}
    parquet_with(tmp_path / "a.PARQUET", columns)
    rows = read_folder(tmp_path)
    assert rows is not None
    assert rows.columns == ("a", "b")
    assert rows.features.tolist() == [[5, 0.5], [6, -1], [1, 2.5], [-3, 400]]
    assert rows.labels.tolist() == [1, 0, 0, 1]


def test_many_rows_in_many_groups_are_read_in_order(tmp_path: Path) -> None:
    count = 50_000
    values = np.arange(count, dtype=np.int64)
    parquet_with(tmp_path / "a.parquet", {"a": values, "label": (values % 2).astype(np.uint8)}, max_row_group_size=7000)
    rows = read_folder(tmp_path)
    assert rows is not None
    np.testing.assert_array_equal(rows.features[:, 0], values)
    np.testing.assert_array_equal(rows.labels, values % 2)


ONE = np.array([1.0])


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"a": np.array([1.0, np.nan]), "l": np.zeros(2)}, "row 2: column a: a missing value is not a finite number"),
        ({"a": ONE, "b": np.array([np.inf]), "l": ONE}, "row 1: column b: inf is not a finite number"),
        ({"a": nullable([1, None], "int64"), "l": np.zeros(2)}, "row 2: column a: a missing value is not a finite"),
        ({"a": np.ones(3), "l": np.array([0, 1, 2])}, "row 3: the label 2.0 is neither 0 (normal) nor 1 (anomaly)"),
        ({"a": ONE, "l": nullable([None], "bool")}, "row 1: the label a missing value is neither 0"),
        ({"a": nullable(["x"], "string"), "l": ONE}, "column a holds Utf8, numbers are wanted"),
        ({"a": ONE}, "the header has one column"),
        ({"a": np.zeros(0), "l": np.zeros(0)}, "holds no row"),
    ],
)
def test_bad_rows_of_parquet_files_are_refused_with_file_row_and_reason(
    tmp_path: Path, columns: dict[str, Any], problem: str
) -> None:
    parquet_with(tmp_path / "a.parquet", columns)
    problems = refusal(tmp_path)
    assert len(problems) == 1
    assert problems[0].startswith(f"a.parquet: {problem}")


def test_a_row_far_into_the_file_has_its_own_number_and_problems_have_a_limit(tmp_path: Path) -> None:
    values = np.zeros(20_000)
    values[12_345] = np.nan
    parquet_with(tmp_path / "a.parquet", {"a": values, "l": np.zeros(20_000)})
    assert refusal(tmp_path) == ["a.parquet: row 12346: column a: a missing value is not a finite number"]
    parquet_with(tmp_path / "a.parquet", {"a": values, "l": np.full(20_000, 5)})
    assert len(refusal(tmp_path)) == MAX_PROBLEMS


def test_other_columns_than_the_first_file_has_are_refused(tmp_path: Path) -> None:
    folder_with(tmp_path, a=GOOD)
    parquet_with(tmp_path / "b.parquet", {"b": ONE, "a": ONE, "label": ONE})
    assert refusal(tmp_path) == ["b.parquet: the columns differ from those of the first file: a, b"]


def test_a_parquet_file_that_would_end_the_process_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    parquet_with(file, {"a": np.arange(5.0), "l": np.zeros(5)})
    damaged = bytearray(file.read_bytes())
    # One byte over which the reader's code panics; found by chance.
    damaged[294] = 109
    file.write_bytes(damaged)
    assert refusal(tmp_path) == ["a.parquet: cannot be read: it is damaged in a way that ends its reader"]


@given(st.binary(max_size=100), st.integers(0, 400), st.integers(0, 100))
@settings(max_examples=40, deadline=None)
def test_no_damage_to_a_parquet_file_breaks_the_reader(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, place: int, cut: int
) -> None:
    file = tmp_path_factory.mktemp("data") / "a.parquet"
    parquet_with(file, {"a": np.arange(5.0), "l": np.zeros(5)})
    whole = file.read_bytes()
    file.write_bytes((whole[:place] + noise + whole[place + len(noise) :])[: len(whole) - cut])
    problems: int | None = None
    try:
        rows = read_folder(file.parent)
    except DataRefusedError as refused:
        problems = len(refused.problems)
    if problems is not None:
        assert 0 < problems <= MAX_PROBLEMS
        return
    assert rows is not None
    assert np.isfinite(rows.features).all()


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
