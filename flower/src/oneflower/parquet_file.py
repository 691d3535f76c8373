"""Parquet files as blocks of numbers, by the small reader arro3 (pyarrow is five times as large)."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_ROWS = 8192
# Reads a whole file and keeps nothing of it.
PROBE = f"""
import sys
from arro3.io import read_parquet
for _ in read_parquet(sys.argv[1], batch_size={BLOCK_ROWS}):
    pass
"""


class ParquetError(Exception):
    """The file cannot be read."""


@dataclass(frozen=True)
class ParquetColumn:
    """A column's name, and what its values are where they are no numbers."""

    name: str
    foreign: str | None


@dataclass(frozen=True)
class ParquetFile:
    """The columns of a file, and its rows in blocks of float64: NaN stands for a value that is missing."""

    columns: tuple[ParquetColumn, ...]
    blocks: Iterator[NDArray[np.float64]]


def open_parquet(file: Path) -> ParquetFile:
    """Open a file; blocks are read as they are asked for.

    Some damage ends the reader's whole process (a panic of Rust's that cannot be caught), which no app would be able to
    tell of: so another process reads the file first.

    :raises ParquetError: it is no Parquet file, or the environment lacks the reader. Blocks raise it as well.
    """
    try:
        from arro3.core import DataType
        from arro3.io import read_parquet
    except ImportError as error:
        raise ParquetError("cannot be read: this environment lacks the package arro3-io") from error
    probe = subprocess.run([sys.executable, "-c", PROBE, file], capture_output=True, check=False)  # noqa: S603 - our own program
    if probe.returncode < 0:
        raise ParquetError("cannot be read: it is damaged in a way that ends its reader")
    try:
        reader = read_parquet(file, batch_size=BLOCK_ROWS)
        fields = list(reader.schema)
    except BaseException as error:
        raise _refusal(error) from error
    columns = tuple(
        ParquetColumn(field.name, None if _is_number(field.type, DataType) else str(field.type).split("<")[-1][:-2])
        for field in fields
    )
    return ParquetFile(columns, _blocks(reader, DataType, len(columns)))


def _is_number(kind: Any, data_type: Any) -> bool:  # noqa: ANN401 - arro3 is not always there to be checked
    return bool(data_type.is_numeric(kind) or data_type.is_boolean(kind) or data_type.is_decimal(kind))


def _blocks(reader: Any, data_type: Any, columns: int) -> Iterator[NDArray[np.float64]]:  # noqa: ANN401
    try:
        for batch in reader:
            numbers = [_numbers(batch.column(place).cast(data_type.float64())) for place in range(columns)]
            yield np.column_stack(numbers)
    except GeneratorExit:
        raise
    except BaseException as error:
        raise _refusal(error) from error


def _numbers(column: Any) -> NDArray[np.float64]:  # noqa: ANN401
    if column.null_count == 0:
        return np.asarray(column.to_numpy(), dtype=np.float64)
    return np.array([np.nan if value is None else value for value in column.to_pylist()], dtype=np.float64)


def _refusal(error: BaseException) -> BaseException:
    """The reader is written in Rust, and panics at some files; such a panic is no Exception in Python."""
    if isinstance(error, Exception) or type(error).__name__ == "PanicException":
        return ParquetError(f"is no Parquet file that can be read: {' '.join(str(error).split())[:200]}")
    return error
