"""Waits for SuperNodes, and says so: a federation below its minimum stands still until more come."""

from collections.abc import Callable

from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from oneflower.checkpoints.state import chain_of
from oneflower.events import Events
from oneflower.log import logger

# Looks of one second each after which the wait is told once more.
REMINDER = 60


def wait_for_nodes(grid: Grid, wanted: int, sleep: Callable[[float], None], events: Events) -> list[int]:
    """The nodes that are online, once ``wanted`` are. An event and the log tell each change of their number.

    The log tells it every minute as well.
    """
    said, looks = -1, 0
    while len(nodes := sorted(grid.get_node_ids())) < wanted:
        if len(nodes) != said:
            events.waiting_for_nodes(wanted=wanted, online=len(nodes))
        if len(nodes) != said or looks % REMINDER == 0:
            said = len(nodes)
            logger.info("Waiting for nodes: %d of %d are online", said, wanted)
        looks += 1
        sleep(1)
    if said >= 0:
        logger.info("%d nodes are online: training goes on", len(nodes))
    return nodes


def nodes_wanted(strategy: Strategy, exchange: str) -> int:
    """Nodes without which a strategy begins no exchange, ``train`` or ``evaluate``; 0 where it does not say."""
    return max((_wanted_by(item, exchange) for item in chain_of(strategy)), default=0)


def _wanted_by(strategy: Strategy, exchange: str) -> int:
    if getattr(strategy, f"fraction_{exchange}", 0.0) == 0.0:
        return 0
    numbers = [getattr(strategy, name, 0) for name in ("min_available_nodes", f"min_{exchange}_nodes")]
    return max((number for number in numbers if isinstance(number, int)), default=0)
