"""The fold of a worker's journal into evidence: the same code live and offline, so the same verdicts."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import StateError
from data_contracts.journal import RECORD_BYTES
from data_contracts.outcome import StoredOutcome
from data_contracts.policy import Policy
from serving.rollout.events import FoldEvent
from serving.rollout.keeping import pack, unpack
from serving.rollout.model_fold import ModelFold
from serving.rollout.policies import PolicyOf, as_policy_of
from serving.rollout.records import DecisionRow, EpochRow, MarkoutRow, NameRow, Row, ShadowRow, TripRow, rows
from serving.rollout.sealing import opened, sealed
from serving.rollout.ticks import TickOf, unknown_tick

HEAD_BYTES = 16
"""Of a record: checksum, type, worker and index, which tell it from every other."""


class JournalFold:
    """The whole journal of a worker, model by model."""

    lent: ClassVar = ("policy_of", "tick_of")

    def __init__(self, policy: Policy | PolicyOf, tick_of: TickOf = unknown_tick) -> None:
        """Start before the first record.

        Args:
            policy: by which every rollout is judged, or what gives a rollout's own by its id; it is asked once for
                each, when the journal first names the rollout, and whatever it raises comes out of `consume`.
            tick_of: tick size by symbol, for the prices of posted fills.
        """
        self.policy_of, self.tick_of = as_policy_of(policy), tick_of
        self.models: dict[int, ModelFold] = {}
        self.records = 0
        """Consumed so far: the journal's index of the record that comes next."""
        self.outcomes = 0
        """Posted outcomes taken so far; they are taken in the order in which they are kept."""
        self.last_head = b""
        """First bytes of the last record consumed: what tells this journal from another."""
        self.unknown_models = 0
        """Posted outcomes of models that the journal does not name."""
        self.instruments: dict[int, str] = {}
        """Names as the journal spells them."""
        self._names: dict[int, str] = {}

    def consume(self, records: bytes | memoryview | NDArray[Any]) -> list[FoldEvent]:
        """Fold whole 128-byte records in journal order; return what follows from them.

        How the journal is cut into calls makes no difference.
        """
        return self.replay(records, deque())

    def replay(self, records: bytes | memoryview | NDArray[Any], outcomes: deque[StoredOutcome]) -> list[FoldEvent]:
        """Fold records as `consume` does, with posted outcomes in the places where they were taken.

        Args:
            records: as for `consume`.
            outcomes: still to come, in order of position; those that belong before the end of the records, or at it,
                are taken out.
        """
        data = np.ascontiguousarray(records).reshape(-1) if isinstance(records, np.ndarray) else records
        events: list[FoldEvent] = []
        taken, start = rows(data), self.records
        end = start + len(taken)
        while outcomes and outcomes[0].position <= end:
            at = max(self.records, outcomes[0].position)
            self._consume_rows(taken[self.records - start : at - start], events)
            self.records = at
            events.extend(self.take_outcome(outcomes.popleft()))
        self._consume_rows(taken[self.records - start :], events)
        self.records = end
        if taken:
            self.last_head = bytes(data[-RECORD_BYTES:][:HEAD_BYTES])
        return events

    def take_outcome(self, stored: StoredOutcome) -> Sequence[FoldEvent]:
        """Take a posted outcome, when `records` is its position; return what follows."""
        self.outcomes += 1
        model = self.model(stored.outcome.model)
        if model is None:
            self.unknown_models += 1
            return ()
        return model.on_posted(stored.outcome)

    @property
    def newest_decision(self) -> int:
        """Highest decision number seen; 0 before the first."""
        return max((model.newest_decision for model in self.models.values()), default=0)

    @property
    def newest_epoch(self) -> int:
        """The routing epoch that the journal came to; 0 before the first."""
        return max((model.epoch.epoch for model in self.models.values() if model.epoch is not None), default=0)

    def save(self) -> bytes:
        """Return everything folded so far, with its place in the journal; `load` goes on bit for bit."""
        return sealed(pack(self))

    @classmethod
    def load(cls, data: bytes, policy: Policy | PolicyOf, tick_of: TickOf = unknown_tick) -> Self:
        """Return the fold that `save` described.

        Args:
            data: what `save` returned.
            policy: as for a new fold; rollouts that have begun keep theirs.
            tick_of: as for a new fold.

        Raises:
            StateError: damaged, or saved by other code: fold the journal again.
        """
        fold = unpack(opened(data))
        if not isinstance(fold, cls):
            raise StateError(f"kept state: expected a {cls.__name__}, got a {type(fold).__name__}")
        fold.policy_of, fold.tick_of = as_policy_of(policy), tick_of
        for model in fold.models.values():
            model.policy_of, model.tick_of = fold.policy_of, fold._tick
        return fold

    def model(self, name: str) -> ModelFold | None:
        """Return the fold of the model of that name; None before its first record."""
        return next((fold for fold in self.models.values() if fold.name == name), None)

    def _consume_rows(self, source: Sequence[Row | None], events: list[FoldEvent]) -> None:
        for row in source:
            if row is not None:
                followed = self._consume(row)
                if followed:
                    events.extend(followed)

    def _tick(self, instrument: int) -> float | None:
        return self.tick_of(self.instruments.get(instrument, ""))

    def _name(self, index: int, name: str) -> None:
        # An epoch may come before the name: a worker adopts routes for models that it has yet to hear of.
        self._names[index] = name
        if index in self.models:
            self.models[index].rename(name)

    def _consume(self, row: Row) -> Sequence[FoldEvent]:
        if isinstance(row, NameRow):
            if row.kind == 0:
                self._name(row.name_index, row.name)
            else:
                self.instruments[row.name_index] = row.name
            return ()
        fold = self.models.get(row.model)
        if fold is None:
            name = self._names.get(row.model, f"model-{row.model}")
            fold = self.models[row.model] = ModelFold(self.policy_of, name, self._tick)
        return _FOLDED[type(row)](fold, row)


_FOLDED: Final[dict[type, Callable[[ModelFold, Any], Sequence[FoldEvent]]]] = {
    DecisionRow: ModelFold.on_decision,
    ShadowRow: ModelFold.on_shadow,
    MarkoutRow: ModelFold.on_markout,
    EpochRow: ModelFold.on_epoch,
    TripRow: ModelFold.on_trip,
}
