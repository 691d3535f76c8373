"""Compares a federated model with what one node alone, and all rows in one place, would have reached.

Run as ``python -m anomaly_detection.compare --model FILE --partitions N --rounds R [--json]`` with the folders of
``oneflower`` and this app on PYTHONPATH. It uses the bundled rows, each model on the held-out rows of all
partitions. One node alone, and all rows in one place, train for as many passes as the nodes together did in a row:
rounds times passes a round, each with the scale of its own rows.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anomaly_detection.plan import NETWORKS, TrainingPlan, framework_of
from anomaly_detection.scaling import Scale
from anomaly_detection.trainer import trainer_of
from anomaly_detection.types import Weights
from oneflower.bundled import MAX_PARTITIONS, assign_by_regime, read_shuttle
from oneflower.model_file import ModelFileError, read_model
from oneflower.rows import DataRefusedError, Rows, hold_out, join_rows

SHUTTLE_COLUMNS = 9


@dataclass(frozen=True)
class Shard:
    """One node's rows."""

    train: Rows
    held_out: Rows


@dataclass(frozen=True)
class Comparison:
    """ROC-AUC on the held-out rows of all partitions."""

    federated: float
    single: tuple[float, ...]
    central: float
    held_out: int
    anomalies: int

    def document(self) -> dict[str, object]:
        """The comparison as it goes into JSON."""
        best = max(range(len(self.single)), key=lambda place: self.single[place])
        return {
            "schemaVersion": 1,
            "metric": "roc_auc",
            "heldOutRows": self.held_out,
            "heldOutAnomalies": self.anomalies,
            "federated": round(self.federated, 5),
            "bestSingle": round(self.single[best], 5),
            "bestSinglePartition": best,
            "single": [round(value, 5) for value in self.single],
            "central": round(self.central, 5),
        }


def shards_of(partitions: int) -> list[Shard]:
    """The bundled rows as the nodes of a federation hold them."""
    rows = read_shuttle()
    owners = assign_by_regime(rows, partitions)
    return [Shard(*hold_out(rows.take(np.flatnonzero(owners == place)))) for place in range(partitions)]


def train_alone(rows: Rows, rounds: int, plan: TrainingPlan) -> tuple[Weights, Scale]:
    """The model of one place that has these rows and nothing else."""
    scale = Scale.of_rows(rows.features)
    scaled = scale.apply(rows.features)
    weights = NETWORKS[plan.framework].initial_weights(len(rows.columns), plan)
    for server_round in range(1, rounds + 1):
        weights = trainer_of(plan.framework).train(weights, scaled, rows.labels, plan, server_round)
    return weights, scale


def compare(weights: Weights, scale: Scale, partitions: int, rounds: int, plan: TrainingPlan) -> Comparison:
    """Measure a federated model and its rivals on the same rows."""
    shards = shards_of(partitions)
    held_out = join_rows([shard.held_out for shard in shards])

    def measure(candidate: Weights, its_scale: Scale) -> float:
        return trainer_of(plan.framework).roc_auc(candidate, its_scale.apply(held_out.features), held_out.labels)

    return Comparison(
        federated=measure(weights, scale),
        single=tuple(measure(*train_alone(shard.train, rounds, plan)) for shard in shards),
        central=measure(*train_alone(join_rows([shard.train for shard in shards]), rounds, plan)),
        held_out=len(held_out),
        anomalies=int(held_out.labels.sum()),
    )


def read_federated(file: Path) -> tuple[str, Weights, Scale]:
    """Framework, weights and scale of a model file of this app.

    :raises ModelFileError: it is not a model of this app for the bundled rows.
    """
    arrays = read_model(file)
    framework = framework_of(arrays)
    names = NETWORKS[framework].ARRAY_NAMES
    missing = [name for name in (*names, "center", "width") if name not in arrays]
    if missing:
        raise ModelFileError(f"Model file {file} is not one of anomaly-detection: no array {', '.join(missing)}")
    columns = arrays["center"].shape[0]
    if columns != SHUTTLE_COLUMNS:
        raise ModelFileError(
            f"Model file {file} is for rows of {columns} columns, the bundled ones have {SHUTTLE_COLUMNS}"
        )
    return framework, {name: arrays[name] for name in names}, Scale(arrays["center"], arrays["width"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison. Returns 0, or 1 when the model cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        framework, weights, scale = read_federated(options.model)
        network = NETWORKS[framework]
        hidden_units = weights[network.ARRAY_NAMES[1]].shape[0]
        step = options.learning_rate or network.LEARNING_RATE
        plan = TrainingPlan(options.epochs, step, hidden_units, options.seed, framework)
        comparison = compare(weights, scale, options.partitions, options.rounds, plan)
    except (ModelFileError, DataRefusedError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    document = comparison.document()
    if options.json:
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        for name in ("federated", "bestSingle", "central"):
            sys.stdout.write(f"{name:<12}{document[name]:.4f}\n")
    return 0


def _from_one_to(most: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        value = int(text)
        if not 1 <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not from 1 to {most}")
        return value

    return whole_number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="anomaly_detection.compare", description=(__doc__ or "").split("\n")[0])
    defaults = TrainingPlan.of_run({})
    parser.add_argument("--model", type=Path, required=True, help="model file (.npz) of a run")
    parser.add_argument(
        "--partitions", type=_from_one_to(MAX_PARTITIONS), default=3, help="nodes that the rows were split among"
    )
    parser.add_argument("--rounds", type=_from_one_to(100_000), default=3, help="rounds of the run")
    parser.add_argument("--epochs", type=_from_one_to(1000), default=defaults.epochs, help="local-epochs of the run")
    parser.add_argument("--learning-rate", type=float, default=0.0, help="client-lr of the run")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="seed of the run")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    return parser


if __name__ == "__main__":
    sys.exit(main())
