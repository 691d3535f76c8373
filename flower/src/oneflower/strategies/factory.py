"""From the settings of a run to the strategy that they name."""

from collections.abc import Callable, Mapping
from typing import Any

from flwr.serverapp.strategy import Bulyan, FedAdam, FedAvg, FedMedian, FedProx, FedTrimmedAvg, Krum, Strategy

from oneflower.log import logger
from oneflower.metrics import average_metrics
from oneflower.settings import TrainingSettings
from oneflower.strategies.fault_tolerant import FaultTolerantFedAvg
from oneflower.strategies.multi_krum import MultiKrum

Common = Mapping[str, Any]

# What each strategy takes beyond the numbers of nodes; the names are those of flwr.serverapp.strategy 1.41.
_MAKERS: Mapping[str, Callable[[TrainingSettings, Common], Strategy]] = {
    "FedAvg": lambda _, common: FedAvg(**common),
    "FedProx": lambda settings, common: FedProx(proximal_mu=settings.proximal_mu, **common),
    "FedAdam": lambda settings, common: FedAdam(eta=settings.server_lr, **common),
    "FedMedian": lambda _, common: FedMedian(**common),
    "FedTrimmedAvg": lambda settings, common: FedTrimmedAvg(beta=settings.trim_beta, **common),
    "Krum": lambda settings, common: Krum(num_malicious_nodes=settings.num_malicious, **common),
    "MultiKrum": lambda settings, common: MultiKrum(
        num_malicious_nodes=settings.num_malicious, num_nodes_to_select=settings.num_selected, **common
    ),
    "Bulyan": lambda settings, common: Bulyan(num_malicious_nodes=settings.num_malicious, **common),
    "FaultTolerantFedAvg": lambda settings, common: FaultTolerantFedAvg(
        completion_rate=settings.completion_rate, round_timeout=settings.round_timeout, **common
    ),
}


def build_strategy(run_config: Mapping[str, object]) -> Strategy:
    """The strategy that a run's configuration asks for, on all nodes, with metrics averaged where they are defined.

    Values that are set but that the strategy does not use are logged.

    :raises RunConfigError: a bad value, an unknown strategy, or values that do not go together.
    """
    settings = TrainingSettings.of_run(run_config)
    for doubt in settings.doubts(run_config):
        logger.warning("%s", doubt)
    common: Common = {
        "min_train_nodes": settings.min_train_nodes,
        "min_evaluate_nodes": settings.min_evaluate_nodes,
        "min_available_nodes": settings.min_available_nodes,
        "train_metrics_aggr_fn": average_metrics,
        "evaluate_metrics_aggr_fn": average_metrics,
    }
    return _MAKERS[settings.strategy](settings, common)
