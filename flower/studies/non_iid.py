"""How strategies fare as the nodes' labels differ, on the digits: ``python -m studies.non_iid`` prints JSON.

Each cell is the accuracy after the last round on the held-out images of all nodes, a mean over seeds.
"""

from collections.abc import Mapping
from pathlib import Path
from statistics import mean

from oneflower.local import run_local
from studies.document import Progress, Series, Table, print_document

APP = Path(__file__).parents[1] / "apps" / "image-classification"
NODES = 10
ROUNDS = 8
EPOCHS = 5
CLIENT_LR = 0.1
SEEDS = (1, 2)
ALPHAS = (0.03, 0.1, 1.0, 10.0)
STRATEGIES: Mapping[str, tuple[str, ...]] = {
    "FedAvg": ('strategy="FedAvg"',),
    "FedProx": ('strategy="FedProx"', "proximal-mu=0.1"),
    "FedAdam": ('strategy="FedAdam"', "server-lr=0.05"),
}
SETTINGS = (
    f"{NODES} nodes share scikit-learn's 1,797 digits; each label is dealt out by a Dirichlet draw of that alpha: the "
    "smaller, the fewer labels a node knows.",
    f"{ROUNDS} rounds of {EPOCHS} passes, client-lr {CLIENT_LR}; FedProx with proximal-mu 0.1, FedAdam with server-lr "
    "0.05.",
    f"Accuracy is that of the last round's model on the held-out images of all nodes, the mean of seeds "
    f"{' and '.join(str(seed) for seed in SEEDS)}; the seed sets the split, the start and the order of batches.",
)


def accuracy(strategy: str, alpha: float, seed: int) -> float:
    """Accuracy of one federation, on the held-out images of all nodes."""
    pairs = [
        *STRATEGIES[strategy],
        f"num-server-rounds={ROUNDS}",
        f"min-available-clients={NODES}",
        f"min-fit-clients={NODES}",
        f"local-epochs={EPOCHS}",
        f"client-lr={CLIENT_LR}",
        'dataset="digits"',
        'partitioning="dirichlet"',
        f"alpha={alpha}",
        f"seed={seed}",
    ]
    return run_local(APP, NODES, pairs).metric("accuracy")


def main() -> None:
    """Measure all cells."""
    progress = Progress("non-iid", len(STRATEGIES) * len(ALPHAS))
    series = [Series(name, tuple(_cell(name, alpha, progress) for alpha in ALPHAS)) for name in STRATEGIES]
    points = tuple(f"{alpha:g}" for alpha in ALPHAS)
    print_document("non-iid", SETTINGS, [Table("Labels dealt out by Dirichlet draws", "alpha", points, tuple(series))])


def _cell(strategy: str, alpha: float, progress: Progress) -> float:
    return progress.cell(
        f"{strategy}, alpha {alpha:g}", lambda: mean(accuracy(strategy, alpha, seed) for seed in SEEDS)
    )


if __name__ == "__main__":
    main()
