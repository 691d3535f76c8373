"""Training and measuring the autoencoder on a node's rows, with PyTorch."""

import math

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from anomaly_detection.autoencoder import ARRAY_NAMES
from anomaly_detection.plan import TrainingPlan
from anomaly_detection.types import Floats, Labels, Weights
from oneflower.device import device_of
from oneflower.rows import DataRefusedError, Problem

BATCH = 64
# Waking a second thread costs more than a batch of so small a network.
torch.set_num_threads(1)


class Autoencoder(nn.Module):  # type: ignore[misc]
    """Rebuilds rows through a narrow code; its state has the names of ARRAY_NAMES."""

    def __init__(self, columns: int, hidden_units: int, code_units: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(columns, hidden_units)
        self.code = nn.Linear(hidden_units, code_units)
        self.decoder = nn.Linear(code_units, hidden_units)
        self.output = nn.Linear(hidden_units, columns)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        code = torch.tanh(self.code(torch.tanh(self.encoder(rows))))
        rebuilt: torch.Tensor = self.output(torch.tanh(self.decoder(code)))
        return rebuilt


def network_of(weights: Weights, place: str = "cpu") -> Autoencoder:
    """The network with these weights, on a device."""
    hidden_units, columns = weights["encoder.weight"].shape
    network = Autoencoder(columns, hidden_units, weights["code.bias"].shape[0])
    network.load_state_dict({name: torch.tensor(np.asarray(weights[name], np.float32)) for name in ARRAY_NAMES})
    network.to(place)
    return network


def train(
    weights: Weights, features: Floats, labels: Labels, plan: TrainingPlan, server_round: int, mu: float = 0.0
) -> Weights:
    """Weights after ``plan.epochs`` passes over the normal rows; anomalies are not trained on.

    :param mu: weight of FedProx's term mu/2 * ||w - w_common||^2, which is added to the loss.
    :raises DataRefusedError: no row is normal.
    """
    normal = features[labels == 0]
    if len(normal) == 0:
        problem = Problem("rows to train on", None, "all are labelled 1 (anomaly)")
        raise DataRefusedError("The autoencoder learns from normal rows, and there is none", [problem])
    place = device_of("pytorch").place
    network = network_of(weights, place)
    rows = torch.tensor(normal, dtype=torch.float32, device=place)
    common = [parameter.detach().clone() for parameter in network.parameters()]
    optimizer = torch.optim.Adam(network.parameters(), lr=plan.learning_rate)
    shuffle = torch.Generator().manual_seed(plan.seed + server_round)
    for _ in range(plan.epochs):
        for batch in torch.randperm(len(rows), generator=shuffle).split(BATCH):
            chosen = rows[batch.to(place)]
            error = nn.functional.mse_loss(network(chosen), chosen)
            if mu > 0:
                error = error + mu / 2 * _squared_distance(network, common)
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
    return {name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}


def _squared_distance(network: Autoencoder, common: list[torch.Tensor]) -> torch.Tensor:
    pairs = zip(network.parameters(), common, strict=True)
    return torch.stack([((parameter - start) ** 2).sum() for parameter, start in pairs]).sum()


def trained_on(labels: Labels) -> int:
    """The normal rows."""
    return int((labels == 0).sum())


def score(weights: Weights, features: Floats) -> Floats:
    """How anomalous each scaled row is: its mean squared error of reconstruction."""
    place = device_of("pytorch").place
    rows = torch.tensor(features, dtype=torch.float32, device=place)
    with torch.inference_mode():
        errors = ((network_of(weights, place)(rows) - rows) ** 2).mean(dim=1)
    scores: Floats = errors.cpu().numpy().astype(np.float64)
    return scores


def roc_auc(weights: Weights, features: Floats, labels: Labels) -> float:
    """ROC-AUC on scaled rows; NaN where rows of one label leave it undefined."""
    if len(np.unique(labels)) < 2:
        return math.nan
    return float(roc_auc_score(labels, score(weights, features)))


def loss(weights: Weights, features: Floats, labels: Labels) -> float:
    """Mean error of reconstruction of the normal rows; NaN where there is none."""
    normal = features[labels == 0]
    return float(score(weights, normal).mean()) if len(normal) else math.nan
