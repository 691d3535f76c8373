"""How strategies stand attackers, on the digits of scikit-learn: ``python -m studies.robustness`` prints JSON.

Each cell is the accuracy after the last round, on the images that the honest nodes hold out.
"""

from functools import partial
from pathlib import Path

from oneflower.local import run_local
from oneflower.partition import Split
from studies.attackers import NOISE_SCALE, flipped_folders, noise, withheld_evaluation
from studies.document import Progress, Series, Table, print_document

APP = Path(__file__).parents[1] / "apps" / "image-classification"
NODES = 11
ROUNDS = 6
SEED = 1
# What the strategies are told to stand; Bulyan wants 4f + 3 = 11 nodes for it.
TOLERATED = 2
TRIM = 0.2
ATTACKERS = (0, 1, 2, 4)
FLIPPED = "flipped labels"
NOISE = "noise"
STRATEGIES = ("FedAvg", "FedMedian", "FedTrimmedAvg", "Krum", "MultiKrum", "Bulyan")
SETTINGS = (
    f"{NODES} nodes share scikit-learn's 1,797 digits evenly; {ROUNDS} rounds of 3 passes, seed {SEED}.",
    f"Krum, MultiKrum and Bulyan are told to stand {TOLERATED} attackers, FedTrimmedAvg cuts off {TRIM:.0%} at either "
    f"end, which is {int(TRIM * NODES)} nodes. With 4 attackers there are more than they were told.",
    f"Noise: the attacker moves the model at random, {NOISE_SCALE:.0f} times as far as its training would have.",
    "Flipped labels: the attacker trains as it should, on digits whose label y is replaced by 9 - y.",
    "Accuracy is that of the last round's model on the images that honest nodes hold out.",
)


def accuracy(strategy: str, attack: str, attackers: int) -> float:
    """Accuracy of one federation, on the honest nodes' held-out images."""
    pairs = [
        f'strategy="{strategy}"',
        f"num-server-rounds={ROUNDS}",
        f"min-available-clients={NODES}",
        f"min-fit-clients={NODES}",
        f"seed={SEED}",
        'dataset="digits"',
    ]
    if strategy in ("Krum", "MultiKrum", "Bulyan"):
        pairs.append(f"num-malicious={TOLERATED}")
    if strategy == "FedTrimmedAvg":
        pairs.append(f"trim-beta={TRIM}")
    flippers = attackers if attack == FLIPPED else 0
    tamper = withheld_evaluation(NODES, attackers) if flippers else noise(NODES, attackers, SEED)
    with flipped_folders(Split("iid", 0.5, SEED), NODES, flippers) as folders:
        return run_local(APP, NODES, pairs, folders, tamper).metric("accuracy")


def main() -> None:
    """Measure all cells. Without attackers both attacks are the same."""
    progress = Progress("robustness", len(STRATEGIES) * (2 * len(ATTACKERS) - 1))
    clean = {name: progress.cell(f"{name}, no attackers", partial(accuracy, name, NOISE, 0)) for name in STRATEGIES}
    tables = [_table(attack, clean, progress) for attack in (NOISE, FLIPPED)]
    print_document("robustness", SETTINGS, tables)


def _table(attack: str, clean: dict[str, float], progress: Progress) -> Table:
    series: list[Series] = []
    for name in STRATEGIES:
        values = [clean[name]]
        for count in ATTACKERS[1:]:
            what = f"{name}, {attack}, {count} attackers"
            values.append(progress.cell(what, partial(accuracy, name, attack, count)))
        series.append(Series(name, tuple(values)))
    return Table(f"Attackers: {attack}", "attackers", tuple(str(count) for count in ATTACKERS), tuple(series))


if __name__ == "__main__":
    main()
