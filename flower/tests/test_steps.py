import math

import pytest
from flwr.app import ConfigRecord, RecordDict

from oneflower.settings import RunConfig, RunConfigError
from oneflower.steps import ProximalError, client_step, proximal_mu


def step(value: object) -> float:
    run_config = {} if value is None else {"client-lr": value}
    config = RunConfig(run_config)
    found = client_step(config, run_config, 0.3)
    config.check()
    return found


@pytest.mark.parametrize(("value", "expected"), [(None, 0.3), (0.0, 0.3), (0, 0.3), (1e-3, 1e-3), (100.0, 100.0)])
def test_a_step_that_is_not_given_is_that_of_the_app(value: object, expected: float) -> None:
    assert step(value) == expected


@pytest.mark.parametrize("value", [-0.1, 100.1, math.nan, math.inf, "0.1", True, False])
def test_a_step_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(RunConfigError, match="client-lr is"):
        step(value)


def test_mu_is_what_the_message_says_and_0_without_it() -> None:
    assert proximal_mu(RecordDict({"config": ConfigRecord({"proximal-mu": 0.5})})) == 0.5
    assert proximal_mu(RecordDict({"config": ConfigRecord({"server-round": 1})})) == 0
    assert proximal_mu(RecordDict()) == 0


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, "1", True])
def test_a_mu_that_is_none_is_refused(value: float | str) -> None:
    with pytest.raises(ProximalError, match="proximal-mu is"):
        proximal_mu(RecordDict({"config": ConfigRecord({"proximal-mu": value})}))
