"""The rows that come with the environment: NASA Shuttle sensors, split among partitions.

The file is package data of river (Statlog Shuttle as ODDS casts it: 49,097 rows, 9 integer sensors, 3,511
anomalies). river itself is never imported: its dependencies are not installed.
"""

import gzip
import io
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oneflower.rows import DataRefusedError, Problem, Rows

SHUTTLE_FILE = "river/datasets/shuttle.csv.gz"
REGIME_COLUMN = "f3"
# Keeps several anomalies, held-out ones among them, in every partition.
MAX_PARTITIONS = 400


def read_shuttle() -> Rows:
    """All Shuttle rows, in the order of the file.

    :raises DataRefusedError: the environment does not carry the file.
    """
    try:
        path = Path(str(metadata.distribution("river").locate_file(SHUTTLE_FILE)))
        text = gzip.decompress(path.read_bytes()).decode("ascii")
    except (metadata.PackageNotFoundError, OSError, ValueError) as error:
        problem = Problem(SHUTTLE_FILE, None, f"cannot be read: {error}")
        raise DataRefusedError("The bundled rows are missing from this environment", [problem]) from error
    # NumPy reads them in a tenth of the time that a loop takes, and every message to a node reads them.
    head, body = text.split("\n", 1)
    columns = tuple(head.strip().split(","))
    table = np.loadtxt(io.StringIO(body), dtype=np.int64, delimiter=",")
    return Rows(columns[:-1], table[:, :-1].astype(np.float64), table[:, -1])


def read_partition(partition: int, of: int) -> Rows:
    """The rows of one of ``of`` partitions, counted from 0.

    :raises DataRefusedError: there is no such partition, or the environment does not carry the rows.
    """
    if not 1 <= of <= MAX_PARTITIONS or not 0 <= partition < of:
        error = f"partition-id {partition} of num-partitions {of}: 0 to num-partitions - 1 of 1 to {MAX_PARTITIONS}"
        raise DataRefusedError("There is no such part of the bundled rows", [Problem(SHUTTLE_FILE, None, error)])
    rows = read_shuttle()
    owners = assign_by_regime(rows, of)
    return rows.take(np.flatnonzero(owners == partition))


def assign_by_regime(rows: Rows, partitions: int) -> NDArray[np.int64]:
    """The partition of each row: every partition watches one operating regime and knows no other.

    Normal rows and anomalies are each sorted by the regime sensor and cut into equal runs. A partition has one run
    of normal rows, and the anomalies of the regime below: faults do not come where a site usually runs, and what
    one site has never seen another knows well. All in whole numbers and without chance: nodes with other releases
    of Python or NumPy agree on it, which a random generator does not promise.
    """
    owners = np.empty(len(rows), dtype=np.int64)
    sensor = rows.features[:, rows.columns.index(REGIME_COLUMN)]
    for label in (0, 1):
        places = np.flatnonzero(rows.labels == label)
        ordered = places[np.argsort(sensor[places], kind="stable")]
        regimes = np.arange(len(ordered)) * partitions // len(ordered)
        owners[ordered] = (regimes + label) % partitions
    return owners
