"""A node's own data: CSV and Parquet files with named, numeric features, and the label (0, 1, false, true) last."""

import csv
import math
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oneflower.parquet_file import ParquetError, open_parquet
from oneflower.rows import DataRefusedError, Problem, Rows
from oneflower.text import quoted

SUFFIXES = (".csv", ".parquet")
MAX_PROBLEMS = 20
# Far beyond any sensor, and small enough that sums and differences of features stay finite.
MAX_MAGNITUDE = 1e100
# What programs write for labels that are truth values, in upper or lower case.
_WORDS = {"false": "0", "true": "1"}


def read_folder(folder: Path) -> Rows | None:
    """All rows of the folder's files, in the order of their names; None when it is absent or holds no such file.

    Files that are hidden or end in neither ``.csv`` nor ``.parquet`` are no data and change nothing.

    :raises DataRefusedError: the folder or a file cannot be read, or lines are not rows; up to MAX_PROBLEMS together.
    """
    files = _data_files(folder)
    if not files:
        return None
    reading = _Reading()
    for file in files:
        reading.read(file)
        if reading.full:
            break
    return reading.rows()


def _data_files(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
        return [
            entry
            for entry in entries
            if entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".") and not entry.is_dir()
        ]
    except FileNotFoundError:
        return []
    except OSError as error:
        problem = Problem(str(folder), None, error.strerror or str(error))
        raise DataRefusedError("The data folder cannot be read", [problem]) from error


class _Reading:
    """What has been read so far; problems are gathered, as people mend a file in one go."""

    def __init__(self) -> None:
        self._columns: tuple[str, ...] = ()
        self._values = array("d")
        self._labels = array("b")
        self._problems: list[Problem] = []

    @property
    def full(self) -> bool:
        return len(self._problems) >= MAX_PROBLEMS

    def rows(self) -> Rows:
        """The rows, or the refusal of all that was wrong."""
        if self._problems:
            more = f" (the first {MAX_PROBLEMS} problems)" if self.full else ""
            raise DataRefusedError(f"The node's data cannot be used{more}", self._problems)
        labels = np.frombuffer(self._labels, dtype=np.int8).astype(np.int64)
        features = np.frombuffer(self._values, dtype=np.float64).reshape(len(labels), len(self._columns))
        return Rows(self._columns, features.copy(), labels)

    def read(self, file: Path) -> None:
        """Read one file's rows, noting what is wrong with them."""
        if not file.is_file():
            # A dangling link must not make a node train on other rows than its owner thinks.
            self._note(file.name, None, "cannot be read: it is no file, or a link to none")
            return
        if file.suffix.lower() == ".parquet":
            self._read_parquet(file)
            return
        try:
            with file.open("rb") as handle:
                reader = csv.reader(_decoded(handle), strict=True)
                try:
                    self._read_lines(file.name, ((reader.line_num, cells) for cells in reader))
                except (csv.Error, UnicodeDecodeError) as error:
                    self._note(file.name, reader.line_num + isinstance(error, UnicodeDecodeError), _reason(error))
        except OSError as error:
            self._note(file.name, None, f"cannot be read: {error.strerror or error}")

    def _read_lines(self, name: str, lines: Iterator[tuple[int, list[str]]]) -> None:
        _, header = next(lines, (0, None))
        if header is None:
            self._note(name, None, "is empty: a header line and rows are wanted")
            return
        if not self._take_header(name, tuple(cell.strip() for cell in header)):
            return
        before = len(self._labels)
        for line, cells in lines:
            if cells and not self._take_row(name, line, cells) and self.full:
                return
        if len(self._labels) == before and not self._problems:
            self._note(name, None, "holds a header but no row")

    def _read_parquet(self, file: Path) -> None:
        before = len(self._labels)
        try:
            parquet = open_parquet(file)
            if not self._take_header(file.name, tuple(column.name for column in parquet.columns), line=None):
                return
            foreign = [column for column in parquet.columns if column.foreign is not None]
            for column in foreign:
                self._note(file.name, None, f"column {column.name} holds {column.foreign}, numbers are wanted")
            if foreign:
                return
            row = 0
            for block in parquet.blocks:
                self._take_block(file.name, row, block)
                row += len(block)
                if self.full:
                    return
        except ParquetError as error:
            self._note(file.name, None, str(error))
            return
        if len(self._labels) == before and not self._problems:
            self._note(file.name, None, "holds no row")

    def _take_block(self, name: str, rows_before: int, block: NDArray[np.float64]) -> None:
        """Rows of a Parquet file, in which they have numbers from 1 instead of lines."""
        good_features = np.abs(block[:, :-1]) <= MAX_MAGNITUDE
        good_label = np.isin(block[:, -1], (0, 1))
        good = good_features.all(axis=1) & good_label
        for place in np.flatnonzero(~good)[:MAX_PROBLEMS]:
            where, features = f"row {rows_before + place + 1}", good_features[place]
            if features.all():
                value = f"the label {_number_shown(block[place, -1])} is neither 0 (normal) nor 1 (anomaly)"
            else:
                column = int(np.argmin(features))
                value = f"column {self._columns[column]}: {_number_shown(block[place, column])} is not a finite number"
            self._note(name, None, f"{where}: {value}")
        self._values.frombytes(np.ascontiguousarray(block[good, :-1]).tobytes())
        self._labels.frombytes(block[good, -1].astype(np.int8).tobytes())

    def _take_header(self, name: str, cells: tuple[str, ...], line: int | None = 1) -> bool:
        problem = _header_problem(cells)
        if problem is None and self._columns and cells[:-1] != self._columns:
            problem = f"the columns differ from those of the first file: {', '.join(self._columns)}"
        if problem is not None:
            self._note(name, line, problem)
            return False
        self._columns = cells[:-1]
        return True

    def _take_row(self, name: str, line: int, cells: list[str]) -> bool:
        wanted = len(self._columns) + 1
        if len(cells) != wanted:
            self._note(name, line, f"{len(cells)} values, the header has {wanted}")
            return False
        features: list[float] = []
        for column, cell in zip(self._columns, cells, strict=False):
            number = _number(cell)
            if number is None or abs(number) > MAX_MAGNITUDE:
                self._note(name, line, f"column {column}: {quoted(cell, 40)} is not a finite number")
                return False
            features.append(number)
        label = _label(cells[-1])
        if label is None:
            self._note(name, line, f"the label {quoted(cells[-1], 40)} is neither 0 (normal) nor 1 (anomaly)")
            return False
        self._values.extend(features)
        self._labels.append(label)
        return True

    def _note(self, name: str, line: int | None, error: str) -> None:
        if not self.full:
            self._problems.append(Problem(name, line, error))


def _header_problem(cells: tuple[str, ...]) -> str | None:
    if len(cells) < 2:
        return "the header has one column: features and, last, the label are wanted, parted by commas"
    if all(_number(cell) is not None for cell in (*cells[:-1], _WORDS.get(cells[-1].lower(), cells[-1]))):
        return "the first line holds numbers: a header with the columns' names is wanted"
    if "" in cells:
        return "the header has a column without a name"
    twice = sorted({cell for cell in cells if cells.count(cell) > 1})
    return f"the header names {', '.join(twice)} more than once" if twice else None


def _decoded(lines: Iterable[bytes]) -> Iterator[str]:
    """Lines as text; a byte order mark, which spreadsheets write, is no part of the header."""
    for number, line in enumerate(lines):
        yield line.decode("utf-8-sig" if number == 0 else "utf-8")


def _number(cell: str) -> float | None:
    """A finite number in plain notation; Python's ``1_000`` is none."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in cell else None


def _label(cell: str) -> int | None:
    """0 or 1, or None for what is no label."""
    value = _number(_WORDS.get(cell.strip().lower(), cell))
    return int(value) if value in (0.0, 1.0) else None


def _number_shown(value: float) -> str:
    return "a missing value" if math.isnan(value) else repr(float(value))


def _reason(error: csv.Error | UnicodeDecodeError) -> str:
    return "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else f"is not CSV: {error}"
