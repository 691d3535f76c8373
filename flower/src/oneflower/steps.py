"""How far a client moves: its own step, and how strongly it is drawn back to the common model."""

import math
from collections.abc import Mapping

from flwr.app import ConfigRecord, RecordDict

from oneflower.settings import RunConfig

# That of FL_CLIENT_LR.
MAX_STEP = 100.0


class ProximalError(Exception):
    """A message asks for a proximal term that is none."""


def client_step(config: RunConfig, run_config: Mapping[str, object], default: float) -> float:
    """The step of a client: ``client-lr`` of the run, or the app's own where it is 0, which means not given.

    A bad value is noted in ``config``, whose ``check`` names it.
    """
    given = run_config.get("client-lr", 0.0)
    if isinstance(given, int | float) and not isinstance(given, bool) and given == 0:
        return default
    return config.positive("client-lr", default, MAX_STEP)


def proximal_mu(content: RecordDict) -> float:
    """The weight mu of FedProx's term mu/2 * ||w - w_common||^2, which its messages carry; 0 without FedProx.

    :raises ProximalError: it is not a finite number of at least 0.
    """
    record = content.get("config")
    value = record.get("proximal-mu", 0.0) if isinstance(record, ConfigRecord) else 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ProximalError(f"proximal-mu is {value!r}, a finite number of at least 0 is wanted")
    return float(value)
