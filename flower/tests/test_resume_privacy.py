"""Rounds that are done again spend privacy again."""

from pathlib import Path

import pytest

from conftest import ReadEvents, details_of
from oneflower.checkpoints.store import CheckpointStore
from oneflower.privacy import DELTA, gaussian_epsilon
from resumable import ROUNDS, Killed, Nodes, context_of, newest, run

pytestmark = pytest.mark.usefixtures("server_app")


NOISE: dict[str, bool | float | str] = {"dp_clipping_norm": 1.0, "dp_noise_multiplier": 2.0, "checkpoint_interval": 3}
LEVEL = {number: {"eval_loss": 1.0} for number in range(1, ROUNDS + 1)}


def budgets(journal: ReadEvents) -> list[float | None]:
    return [event["data"]["metrics"].get("privacy_epsilon") for event in journal() if event["event"] == "round_end"]


def test_rounds_that_are_done_again_spend_privacy_again(checkpoints: Path, models: Path, journal: ReadEvents) -> None:
    with pytest.raises(Killed):
        run(context_of(1, **NOISE), Nodes(killed_at="5 train", metrics=LEVEL))
    assert newest(checkpoints, 1) == "1/round-000003.npz"
    # Both go on from round 3: the first run has given the nodes four models by then, and either three more.
    for run_id, releases in ((2, 7), (3, 10)):
        run(context_of(run_id, **NOISE, resume_from="1/round-000003.npz"), Nodes(metrics=LEVEL))
        assert budgets(journal)[-1] == pytest.approx(gaussian_epsilon(2.0, releases))
    run(context_of(4, **NOISE, num_server_rounds=7, resume_from=newest(checkpoints, 3)), Nodes(metrics=LEVEL))
    assert budgets(journal)[-1] == pytest.approx(gaussian_epsilon(2.0, 11))


def test_rounds_with_other_noise_spend_what_they_have_spent(
    checkpoints: Path, models: Path, journal: ReadEvents
) -> None:
    run(context_of(1, **NOISE, num_server_rounds=3), Nodes(metrics=LEVEL))
    more = {**NOISE, "dp_noise_multiplier": 4.0}
    run(context_of(2, **more, num_server_rounds=7, resume_from="1/round-000003.npz"), Nodes(metrics=LEVEL))
    # Four rounds with twice the noise spend as much as one.
    assert budgets(journal)[-1] == pytest.approx(gaussian_epsilon(2.0, 4))


def test_no_budget_is_told_after_rounds_without_noise(
    checkpoints: Path, models: Path, journal: ReadEvents, caplog: pytest.LogCaptureFixture
) -> None:
    run(context_of(1, num_server_rounds=3), Nodes(metrics=LEVEL))
    run(context_of(2, **NOISE, resume_from="1/round-000003.npz"), Nodes(metrics=LEVEL))
    assert budgets(journal) == [None] * ROUNDS
    assert "no privacy budget can be told" in caplog.text
    told = {"privacy_clipping_norm": 1.0, "privacy_noise_multiplier": 2.0, "privacy_delta": DELTA}
    assert details_of(models, 2)["privacy"] == told
    assert CheckpointStore(checkpoints / "2").manifests()[-1].privacy == told
