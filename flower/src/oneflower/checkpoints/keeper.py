"""When checkpoints of a run are written and which are kept. No failure of the disk ends a training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flwr.app import ArrayRecord
from numpy.typing import NDArray

from oneflower.checkpoints.best import Rule, better
from oneflower.checkpoints.errors import CheckpointError
from oneflower.checkpoints.identity import Identity
from oneflower.checkpoints.manifest import BestRound, Manifest, RoundRecord
from oneflower.checkpoints.resume import Resumed
from oneflower.checkpoints.state import StateKeeper
from oneflower.checkpoints.store import CheckpointStore
from oneflower.events import Events
from oneflower.log import logger

Now = Callable[[], datetime]


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Schedule:
    """A checkpoint every ``interval`` rounds and after the last; ``keep`` of them stay, with the best and the final."""

    interval: int
    keep: int
    num_rounds: int


@dataclass(frozen=True)
class Subject:
    """What belongs to every checkpoint of a run besides the state of the moment."""

    identity: Identity
    initial: dict[str, dict[str, Any]]
    constants: Mapping[str, NDArray[Any]]
    details: dict[str, Any]
    privacy: Mapping[str, float]


@dataclass(frozen=True)
class NodeFacts:
    """What the nodes of a round have told: examples by node, and versions of what they train with."""

    examples: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


class CheckpointKeeper:
    """Follows one run's rounds: their history, the best one, and the checkpoints. ``store`` None keeps none on disk."""

    def __init__(
        self,
        store: CheckpointStore | None,
        schedule: Schedule,
        subject: Subject,
        state: StateKeeper,
        events: Events,
        *,
        rule: Rule | None = None,
        now: Now = _utc_now,
    ) -> None:
        self.history: list[RoundRecord] = []
        self.best: BestRound | None = None
        self.nodes = NodeFacts()
        self._store = store
        self._schedule = schedule
        self._subject = subject
        self._state = state
        self._events = events
        self._rule = rule
        self._now = now
        # The last round whose model is in a checkpoint of this run, or of the one that it goes on from.
        self.saved_round = 0
        # The round that this run goes on from: what it has not trained itself is no result of its own.
        self._began_after = 0
        # A checkpoint that was due could not be written: the next round tries again.
        self._overdue = False

    @property
    def folder(self) -> Path | None:
        """The run's folder; None where nothing is kept on disk."""
        return None if self._store is None else self._store.folder

    def go_on_from(self, resumed: Resumed) -> None:
        """Take over history, best round and the checkpoints of the run that this one continues."""
        self.history = resumed.history
        self.saved_round = self._began_after = resumed.round
        self.best = resumed.manifest.best
        self.nodes = NodeFacts(resumed.manifest.node_examples, resumed.manifest.versions)
        if self._store is None:
            return
        more_to_come = self._schedule.num_rounds > resumed.round
        rounds: set[int] = set()
        try:
            for manifest in resumed.store.manifests():
                if manifest.round <= resumed.round:
                    final = manifest.round == resumed.round and not more_to_come
                    self._store.adopt(resumed.store, replace(manifest, is_final=final))
                    rounds.add(manifest.round)
        except OSError as error:
            self._failed(resumed.round, f"The checkpoints of run {resumed.store.folder.name} were not taken: {error}")
        if self.best is not None and self.best.round not in rounds:
            self.best = None

    def round_ended(self, record: RoundRecord, model: ArrayRecord, trained_round: int, nodes: NodeFacts) -> None:
        """Write a checkpoint if one is due. ``trained_round`` is the last round whose training is in ``model``."""
        if record.trained:
            self.nodes = nodes
        self.history.append(record)
        best = better(self._rule, record, self.best)
        is_last = record.round >= self._schedule.num_rounds
        is_due = is_last or self._overdue or record.round % self._schedule.interval == 0 or best is not None
        if self._store is None:
            self.best = best or self.best
            return
        if not is_due or trained_round == self._began_after:
            return
        if trained_round > self.saved_round:
            self._save(self._store, model, self._manifest(trained_round, best, is_final=is_last))
        elif is_last:
            self._mark(self._store, trained_round, lambda manifest: replace(manifest, is_final=True))
        self._prune(self._store)

    def _manifest(self, server_round: int, best: BestRound | None, *, is_final: bool) -> Manifest:
        identity, subject = self._subject.identity, self._subject
        metrics = next((record.metrics for record in self.history if record.round == server_round), {})
        return Manifest(
            run_id=identity.run_id,
            fab=identity.fab,
            app=identity.app,
            framework=identity.framework,
            strategy=identity.strategy,
            round=server_round,
            num_rounds=self._schedule.num_rounds,
            file="",
            sha256="",
            bytes=0,
            arrays={},
            initial=subject.initial,
            metrics=metrics,
            history=self.history,
            best=best or self.best,
            is_best=best is not None,
            is_final=is_final,
            details=subject.details,
            constants=list(subject.constants),
            state={},
            unknown_state=[],
            node_examples=self.nodes.examples,
            versions=self.nodes.versions,
            privacy=dict(subject.privacy),
            saved_at=self._now().isoformat(timespec="seconds"),
        )

    def _save(self, store: CheckpointStore, model: ArrayRecord, manifest: Manifest) -> None:
        try:
            state = self._state.capture(model)
            arrays = {
                **{f"model/{name}": array.numpy() for name, array in model.items()},
                **{f"constant/{name}": array for name, array in self._subject.constants.items()},
                **state.arrays,
            }
            saved = store.save(arrays, replace(manifest, state=state.values, unknown_state=state.unknown))
        except CheckpointError as error:
            self._overdue = True
            self._failed(manifest.round, str(error))
            return
        self.saved_round, self._overdue = saved.round, False
        if saved.is_best:
            if self.best is not None:
                self._mark(store, self.best.round, lambda manifest: replace(manifest, is_best=False))
            self.best = saved.best
        self._events.checkpoint_saved(server_round=saved.round, file=saved.file, size=saved.bytes, best=saved.is_best)

    def _mark(self, store: CheckpointStore, server_round: int, change: Callable[[Manifest], Manifest]) -> None:
        """Change what a manifest says of its checkpoint, if it is there."""
        try:
            for manifest in store.manifests():
                if manifest.round == server_round:
                    store.save_manifest(change(manifest))
        except OSError as error:
            self._failed(server_round, f"The manifest of round {server_round} could not be written: {error}")

    def _prune(self, store: CheckpointStore) -> None:
        """Remove what is neither among the last ones, nor the best, nor final."""
        manifests = store.manifests()
        regular = [found for found in manifests if found.round % self._schedule.interval == 0 or found.is_final]
        kept = {found.round for found in regular[-self._schedule.keep :]}
        kept |= {found.round for found in manifests if found.is_final}
        # Whatever comes, the run can go on from the newest.
        kept |= {found.round for found in manifests[-1:]}
        if self.best is not None:
            kept.add(self.best.round)
        for found in manifests:
            if found.round in kept:
                continue
            try:
                store.remove(found.file)
            except OSError as error:
                logger.warning("Checkpoint %s could not be removed: %s", found.file, error)

    def _failed(self, server_round: int, error: str) -> None:
        logger.warning("%s", error)
        self._events.checkpoint_failed(server_round=server_round, error=error)
