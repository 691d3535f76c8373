"""Which module trains and measures: imported only where it is used, as its framework is nowhere else."""

import importlib
from typing import Protocol, cast

from anomaly_detection.plan import TrainingPlan
from anomaly_detection.types import Floats, Labels, Weights

_MODULES = {"sklearn": "anomaly_detection.training", "pytorch": "anomaly_detection.torch_training"}


class Trainer(Protocol):
    """What a variant offers; rows are scaled, and labels are 0 (normal) or 1 (anomaly)."""

    def train(
        self, weights: Weights, features: Floats, labels: Labels, plan: TrainingPlan, server_round: int, mu: float = 0.0
    ) -> Weights:
        """Weights after ``plan.epochs`` passes; ``mu`` is the weight of FedProx's term."""

    def trained_on(self, labels: Labels) -> int:
        """How many of the rows the variant trains on."""

    def roc_auc(self, weights: Weights, features: Floats, labels: Labels) -> float:
        """ROC-AUC; NaN where rows of one label leave it undefined."""

    def loss(self, weights: Weights, features: Floats, labels: Labels) -> float:
        """What training makes smaller; NaN where no row has it."""


def trainer_of(framework: str) -> Trainer:
    """The module of a framework.

    :raises ImportError: the environment lacks the framework.
    """
    return cast(Trainer, importlib.import_module(_MODULES[framework]))
