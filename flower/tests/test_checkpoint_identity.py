from pathlib import Path

import pytest

from oneflower.checkpoints.best import Rule, better, check_rule
from oneflower.checkpoints.identity import Identity, app_of_fab, array_differences, fab_folder
from oneflower.checkpoints.manifest import BestRound, RoundRecord


@pytest.mark.parametrize(
    ("path", "fab"),
    [
        ("/home/flower/apps/oneflower.anomaly-detection.1.0.0.0a1b2c3d", "oneflower.anomaly-detection.1.0.0.0a1b2c3d"),
        ("/home/flower/apps/me.mine.2.1.0-rc.1.deadbeef", "me.mine.2.1.0-rc.1.deadbeef"),
        ("/home/flower/apps/anomaly-detection", None),
        ("/home/flower/other/oneflower.anomaly-detection.1.0.0.0a1b2c3d", None),
        ("", None),
    ],
)
def test_the_folder_of_an_app_tells_which_it_is(path: str, fab: str | None) -> None:
    assert fab_folder(["/usr/lib/python3", path]) == fab


def test_the_name_of_an_app_is_in_its_folder() -> None:
    assert app_of_fab("oneflower.anomaly-detection.1.0.0.0a1b2c3d") == "anomaly-detection"
    assert app_of_fab("something") is None


def test_what_is_given_comes_before_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(Path("/f/apps/oneflower.anomaly-detection.1.0.0.0a1b2c3d"))
    monkeypatch.syspath_prepend(folder)
    found = Identity.of_run(7, {"framework": "sklearn"}, "FedAvg", app=None, framework=None)
    assert (found.run_id, found.app, found.framework) == ("7", "anomaly-detection", "sklearn")
    given = Identity.of_run(7, {"framework": "sklearn"}, "FedAvg", app="mine", framework="pytorch")
    assert (given.app, given.framework, given.fab) == ("mine", "pytorch", Path(folder).name)
    assert given.completed({"app": "other", "framework": "x"}) == given


def test_an_app_may_say_its_name_in_its_details() -> None:
    unknown = Identity("7", None, None, None, "FedAvg")
    completed = unknown.completed({"app": "mine", "framework": 3})
    assert (completed.app, completed.framework) == ("mine", None)


def test_many_differences_are_cut_short() -> None:
    theirs = {f"a{place}": {"dtype": "float32", "shape": [1]} for place in range(9)}
    ours = {f"a{place}": {"dtype": "float64", "shape": [1]} for place in range(9)}
    found = array_differences("array", theirs, ours)
    assert found[0] == "its array a0 is float32 (1,), that of this run is float64 (1,)"
    assert found[3] == "and 6 more differences"


@pytest.mark.parametrize(
    ("rule", "metrics", "so_far", "is_better"),
    [
        (None, {"eval_loss": 0.5, "accuracy": 0.1}, None, True),
        (None, {"eval_loss": 0.5}, BestRound(1, "eval_loss", 0.4), False),
        (None, {"eval_loss": 0.5}, BestRound(1, "eval_loss", 0.5), False),
        (None, {"eval_loss": 0.5}, BestRound(1, "eval_loss", 0.6), True),
        (None, {"accuracy": 0.5}, BestRound(1, "accuracy", 0.4), True),
        (None, {"train_loss": 0.5}, None, False),
        (None, {"accuracy": 0.9}, BestRound(1, "eval_loss", 0.1), False),
        (None, {"eval_loss": 0.1, "accuracy": 0.5}, BestRound(1, "accuracy", 0.6), False),
        (None, {"eval_loss": 0.9, "accuracy": 0.7}, BestRound(1, "accuracy", 0.6), True),
        (None, {"eval_loss": 0.5}, BestRound(1, "roc_auc", 0.6), True),
        (("roc_auc", "max"), {"roc_auc": 0.5}, BestRound(1, "roc_auc", 0.6), False),
        (("roc_auc", "max"), {"roc_auc": 0.5}, BestRound(1, "eval_loss", 0.1), True),
        (("roc_auc", "max"), {"eval_loss": 0.5}, None, False),
    ],
)
def test_the_best_round_goes_by_the_rule(
    rule: Rule | None,
    metrics: dict[str, float],
    so_far: BestRound | None,
    is_better: bool,  # noqa: FBT001
) -> None:
    assert (better(rule, RoundRecord(2, metrics, 1.0), so_far) is not None) is is_better
    assert better(rule, RoundRecord(2, metrics, 1.0, trained=False), so_far) is None


def test_a_rule_is_min_or_max() -> None:
    check_rule(("loss", "min"))
    with pytest.raises(ValueError, match="'min' or 'max'"):
        check_rule(("loss", "least"))  # type: ignore[arg-type]
