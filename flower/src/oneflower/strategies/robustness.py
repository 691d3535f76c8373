"""Whether the replies of a round are enough for what a strategy promises against malicious nodes."""

from flwr.serverapp.strategy import Bulyan, FedTrimmedAvg, MultiKrum, Strategy

from oneflower.checkpoints.state import chain_of
from oneflower.settings import least_replies


def weakness(strategy: Strategy, asked: int, answered: int) -> str | None:
    """Why a strategy that could stand malicious nodes among those asked cannot among those that answered, if so.

    Where it could not from the beginning, whoever chose it has been told.
    """
    inner = chain_of(strategy)[-1]
    if isinstance(inner, FedTrimmedAvg):
        trimmed = int(inner.beta * asked) > 0 and int(inner.beta * answered) == 0
        return f"trim-beta={inner.beta} trims nobody among the {answered} replies of {asked} nodes" if trimmed else None
    # Krum is a MultiKrum too.
    name = "Bulyan" if isinstance(inner, Bulyan) else "Krum" if isinstance(inner, MultiKrum) else ""
    malicious = inner.num_malicious_nodes if isinstance(inner, Bulyan | MultiKrum) else 0
    least = least_replies(name, malicious)
    if malicious == 0 or not answered < least <= asked:
        return None
    return (
        f"{type(inner).__name__} stands num-malicious={malicious} among {least} replies at least, "
        f"{answered} came of {asked} nodes"
    )
