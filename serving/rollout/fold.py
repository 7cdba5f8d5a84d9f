"""The fold of a worker's journal into evidence: the same code live and offline, so the same verdicts."""

from collections.abc import Iterable
from typing import Any, ClassVar, Self

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
from serving.rollout.records import DecisionRow, EpochRow, NameRow, Row, TripRow, rows
from serving.rollout.sealing import opened, sealed

HEAD_BYTES = 16
"""Of a record: checksum, type, worker and index, which tell it from every other."""


class JournalFold:
    """The whole journal of a worker, model by model."""

    lent: ClassVar = ("policy_of",)

    def __init__(self, policy: Policy | PolicyOf) -> None:
        """Start before the first record.

        Args:
            policy: by which every rollout is judged, or what gives a rollout's own by its id; it is asked once for
                each, when the journal first names the rollout, and whatever it raises comes out of `consume`.
        """
        self.policy_of = as_policy_of(policy)
        self.models: dict[int, ModelFold] = {}
        self.records = 0
        """Consumed so far: the journal's index of the record that comes next."""
        self.outcomes = 0
        """Posted outcomes taken so far; they are taken in the order in which they are kept."""
        self.last_head = b""
        """First bytes of the last record consumed: what tells this journal from another."""
        self._names: dict[int, str] = {}

    def consume(self, records: bytes | memoryview | NDArray[Any]) -> list[FoldEvent]:
        """Fold whole 128-byte records in journal order; return what follows from them.

        How the journal is cut into calls makes no difference.
        """
        data = np.ascontiguousarray(records).reshape(-1) if isinstance(records, np.ndarray) else records
        events = self._consume_rows(rows(data))
        self.records += len(data) // RECORD_BYTES  # those of unknown types too: it is a place in the journal
        if len(data):
            self.last_head = bytes(data[-RECORD_BYTES:][:HEAD_BYTES])
        return events

    def consume_rows(self, source: Iterable[Row]) -> list[FoldEvent]:
        """Fold decoded records in journal order."""
        taken = list(source)
        events = self._consume_rows(taken)
        self.records += len(taken)
        return events

    def take_outcome(self, stored: StoredOutcome) -> list[FoldEvent]:  # noqa: ARG002  nothing judges it yet
        """Take a posted outcome, when `records` is its position; return what follows."""
        self.outcomes += 1
        return []

    @property
    def newest_decision(self) -> int:
        """Highest decision number seen; 0 before the first."""
        return max((model.newest_decision for model in self.models.values()), default=0)

    def save(self) -> bytes:
        """Return everything folded so far, with its place in the journal; `load` goes on bit for bit."""
        return sealed(pack(self))

    @classmethod
    def load(cls, data: bytes, policy: Policy | PolicyOf) -> Self:
        """Return the fold that `save` described.

        Args:
            data: what `save` returned.
            policy: as for a new fold; rollouts that have begun keep theirs.

        Raises:
            StateError: damaged, or saved by other code: fold the journal again.
        """
        fold = unpack(opened(data))
        if not isinstance(fold, cls):
            raise StateError(f"kept state: expected a {cls.__name__}, got a {type(fold).__name__}")
        fold.policy_of = as_policy_of(policy)
        for model in fold.models.values():
            model.policy_of = fold.policy_of
        return fold

    def model(self, name: str) -> ModelFold | None:
        """Return the fold of the model of that name; None before its first record."""
        return next((fold for fold in self.models.values() if fold.name == name), None)

    def _consume_rows(self, source: Iterable[Row]) -> list[FoldEvent]:
        events: list[FoldEvent] = []
        for row in source:
            events.extend(self._consume(row))
        return events

    def _name(self, index: int, name: str) -> None:
        # An epoch may come before the name: a worker adopts routes for models that it has yet to hear of.
        self._names[index] = name
        if index in self.models:
            self.models[index].rename(name)

    def _consume(self, row: Row) -> list[FoldEvent]:
        if isinstance(row, NameRow):
            if row.kind == 0:
                self._name(row.name_index, row.name)
            return []
        fold = self.models.get(row.model)
        if fold is None:
            name = self._names.get(row.model, f"model-{row.model}")
            fold = self.models[row.model] = ModelFold(self.policy_of, name)
        if isinstance(row, DecisionRow):
            return fold.on_decision(row)
        if isinstance(row, EpochRow):
            return fold.on_epoch(row)
        return fold.on_trip(row) if isinstance(row, TripRow) else fold.on_outcome(row)
