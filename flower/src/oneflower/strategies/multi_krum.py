"""MultiKrum that takes as many models as the replies of a round allow."""

from collections.abc import Iterable

from flwr.app import ArrayRecord, Message, MetricRecord
from flwr.serverapp.strategy import MultiKrum as FlowerMultiKrum


class MultiKrum(FlowerMultiKrum):
    """Flower's MultiKrum; with 0 nodes to select it takes all that answered but the malicious ones and two.

    That is the number of neighbours that Krum's score looks at (Blanchard et al. 2017), at least one. It never takes
    more than are honest: where nodes are lost, the number that was asked for would reach the malicious ones.
    """

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        received = list(replies)
        asked_for = self.num_nodes_to_select
        honest = sum(not reply.has_error() for reply in received) - self.num_malicious_nodes
        self.num_nodes_to_select = max(1, min(asked_for, honest) if asked_for else honest - 2)
        try:
            return super().aggregate_train(server_round, received)
        finally:
            self.num_nodes_to_select = asked_for
