"""What the study pages show, made again in part with the same seeds."""

from pathlib import Path

import numpy as np
import pytest

from oneflower.local import LocalRun, run_local
from studies import non_iid, robustness

PAGES = Path(__file__).parents[3] / "docs" / "studies"
# The order of sums differs from one processor to another, and training makes more of it.
TOLERANCE = 0.03
FLOOR = 0.85


def shown(page: str, title: str, strategy: str, point: str) -> float:
    """A figure of a page."""
    section = (PAGES / page).read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "|" in line]
    row = next(row for row in rows if row[0] == strategy)
    return float(row[rows[0].index(point)])


def test_robust_strategies_stay_above_a_floor_below_which_two_attackers_of_eleven_push_fedavg() -> None:
    names = ("FedAvg", "FedMedian", "FedTrimmedAvg", "Krum", "MultiKrum", "Bulyan")
    found = {name: robustness.accuracy(name, robustness.NOISE, 2) for name in names}
    fedavg = found.pop("FedAvg")
    assert fedavg < 0.5
    assert {name: value for name, value in found.items() if value < FLOOR} == {}
    for name, value in {**found, "FedAvg": fedavg}.items():
        assert value == pytest.approx(shown("robustness.md", "Attackers: noise", name, "2"), abs=TOLERANCE)


def test_flipped_labels_cost_fedavg_more_than_a_robust_strategy() -> None:
    fedavg, bulyan = (robustness.accuracy(name, robustness.FLIPPED, 4) for name in ("FedAvg", "Bulyan"))
    assert fedavg + 0.03 < bulyan
    assert fedavg == pytest.approx(shown("robustness.md", "Attackers: flipped labels", "FedAvg", "4"), abs=TOLERANCE)


def test_uneven_labels_cost_accuracy_and_fedadam_loses_least() -> None:
    seed = non_iid.SEEDS[0]
    fedavg, fedadam = (non_iid.accuracy(name, 0.03, seed) for name in ("FedAvg", "FedAdam"))
    even = non_iid.accuracy("FedAvg", 10.0, seed)
    assert fedavg + 0.05 < fedadam < even
    title = "Labels dealt out by Dirichlet draws"
    on_page = [shown("non-iid.md", title, name, "0.03") for name in ("FedProx", "FedAvg", "FedAdam")]
    assert on_page == sorted(on_page)
    assert on_page[-1] < shown("non-iid.md", title, "FedAvg", "10")


def test_fedprox_differs_from_fedavg_and_equals_it_without_its_term() -> None:
    def arrays(*pairs: str) -> LocalRun:
        uneven = ['dataset="digits"', 'partitioning="dirichlet"', "alpha=0.1", "num-server-rounds=2"]
        return run_local(non_iid.APP, 3, [*uneven, *pairs])

    fedavg = arrays('strategy="FedAvg"').arrays
    prox = arrays('strategy="FedProx"', "proximal-mu=1.0").arrays
    without = arrays('strategy="FedProx"', "proximal-mu=0.0").arrays
    start = arrays('strategy="FedProx"', "proximal-mu=0.0", "client-lr=1e-9").arrays
    assert fedavg.keys() == prox.keys() == without.keys() == start.keys()
    for name, array in fedavg.items():
        np.testing.assert_array_equal(without[name], array)

    def moved(model: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]) -> float:
        return float(sum(np.square(model[name] - start[name]).sum() for name in start))

    # Nodes that are drawn back move less from where they began.
    assert 0 < moved(prox) < 0.9 * moved(fedavg)
