"""What every version earned, hour by hour: mark-outs (paper) and posted outcomes (realised) side by side.

A pure fold of the journal and of the outcomes in the order in which they were taken, into a bounded number of cells.
"""

from math import isnan
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from data_contracts.journal import Arm, MarkoutStatus, RecordType
from data_contracts.outcome import StoredOutcome
from data_contracts.policy import Reconciliation
from serving.journal_records import RecordBatch, decode, record_types, select
from serving.outcomes.cells import Cells, Key
from serving.outcomes.reconciliation import Comparison, Reading, Turn, reading
from serving.outcomes.trades import Trades

HOUR_NS: Final = 3_600_000_000_000
AHEAD_MAX: Final = 65_536
"""Outcomes held for decisions that the journal has not shown yet."""
JOIN_RULES: Final = ("matched", "late", "not_acted", "wrong_model")
_ARMS: Final = {int(arm): arm.name.lower() for arm in Arm}


class PnlState(msgspec.Struct):
    """What is kept of a book."""

    records: int = 0
    """Of the journal, folded so far."""
    begins: int = 0
    """With this record: what came before had been archived and removed, and is in no sum."""
    outcomes: int = 0
    """Taken so far."""
    newest_decision: int = 0
    forgotten: int = 0
    counts: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(JOIN_RULES, 0))
    ahead: dict[int, list[StoredOutcome]] = {}
    """Outcomes of decisions that the journal has not shown, by decision."""
    comparisons: list[tuple[str, int, Comparison]] = []
    models: dict[int, str] = {}
    instruments: dict[int, str] = {}


class PnlBook:
    """The fold; what it holds is bounded, however long it goes on."""

    def __init__(self, policy: Reconciliation) -> None:
        """Start before the journal's first record."""
        self.policy = policy
        self.state = PnlState()
        self.cells = Cells()
        self.turned: list[Turn] = []
        """Alarms that were raised or cleared; whoever reads them takes them out."""
        self._trades = Trades()
        self._comparisons: dict[tuple[str, int], Comparison] = {}
        self._numbers: dict[tuple[int, ...], int] = {}
        """Cell of a key as the journal spells it; forgotten with every name, which may give an index another one."""

    @property
    def unknown(self) -> int:
        """Outcomes whose decision the journal has not shown."""
        return sum(map(len, self.state.ahead.values()))

    def counts(self) -> dict[str, int]:
        """Return how many outcomes were joined (matched), and how many were not, by rule."""
        return {**self.state.counts, "unknown": self.unknown}

    def consume(self, batch: RecordBatch) -> None:
        """Fold records, shape (n, 128), in journal order; how it is cut into batches makes no difference."""
        start = 0
        for place in [*np.flatnonzero(record_types(batch) == RecordType.NAME).tolist(), len(batch)]:
            if place > start:
                self._decided(select(batch[start:place], RecordType.DECISION))
                self._marked(select(batch[start:place], RecordType.MARKOUT))
            if place < len(batch):
                self._spell(batch[place : place + 1])
            start = place + 1
        self.state.records += len(batch)

    def take(self, stored: StoredOutcome) -> None:
        """Join a posted outcome to its decision, when the records folded are its position."""
        self.state.outcomes += 1
        decision = stored.outcome.decision_id
        if decision <= self.state.newest_decision:
            self._join(stored)
        elif self.unknown < AHEAD_MAX:
            self.state.ahead.setdefault(decision, []).append(stored)
        else:
            self.state.counts["late"] += 1

    def readings(self) -> list[Reading]:
        """Return how paper and realised stand, by version."""
        return [reading(*key, one, self.policy) for key, one in sorted(self._comparisons.items())]

    def save(self) -> bytes:
        """Return everything; a book that loads it goes on as this one does."""
        self.state.comparisons = [(*key, one) for key, one in self._comparisons.items()]
        self.state.forgotten = self._trades.forgotten
        return msgspec.msgpack.encode((self.state, self.cells.save(), self._trades.save()))

    def load(self, data: bytes) -> None:
        """Take what `save` returned.

        Raises:
            msgspec.DecodeError: it is something else.
        """
        kept = msgspec.msgpack.decode(data, type=tuple[PnlState, bytes, bytes])
        self.state, cells, trades = kept
        self.cells.load(cells)
        self._trades.load(trades, self.state.forgotten)
        self._comparisons = {(model, version): one for model, version, one in self.state.comparisons}
        self._numbers.clear()

    def _spell(self, record: RecordBatch) -> None:
        (name,) = decode(record)
        table = self.state.models if name.kind == 0 else self.state.instruments  # type: ignore[union-attr]
        table[name.name_index] = name.name  # type: ignore[union-attr]
        self._numbers.clear()

    def _cell_of(self, key: tuple[int, ...]) -> int:
        number = self._numbers.get(key)
        if number is None:
            model, version, arm, instrument, hour = key
            number = self._numbers[key] = self.cells.number(
                Key(
                    self.state.models.get(model, f"model-{model}"),
                    version,
                    _ARMS.get(arm, f"arm-{arm}"),
                    self.state.instruments.get(instrument, f"instrument-{instrument}"),
                    hour * HOUR_NS,
                )
            )
        return number

    def _decided(self, rows: NDArray[Any]) -> None:
        if not len(rows):
            return
        columns = [rows[name] for name in ("model", "version", "arm", "instrument")]
        keys = np.stack([*columns, rows["event_ns"] // HOUR_NS], axis=1).astype(np.int64)
        unique, inverse, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
        numbers = np.array([self._cell_of(tuple(key)) for key in unique.tolist()])
        acted = rows["action"] != 0
        trades = np.bincount(inverse.ravel()[acted], minlength=len(unique))
        for number, decided, traded in zip(numbers.tolist(), counts.tolist(), trades.tolist(), strict=True):
            self.cells[number].decisions += decided
            self.cells[number].trades += traded
        self._trades.add(rows["decision_id"][acted], rows["action"][acted], numbers[inverse.ravel()][acted])
        self.state.newest_decision = newest = max(self.state.newest_decision, int(rows["decision_id"][-1]))
        for decision in sorted(one for one in self.state.ahead if one <= newest):
            for stored in self.state.ahead.pop(decision):
                self._join(stored)

    def _marked(self, rows: NDArray[Any]) -> None:
        rows = rows[(rows["horizon"] == 0) & (rows["status"] == int(MarkoutStatus.OK))]
        places = self._trades.places(rows["decision_id"])
        held = places >= 0
        columns = ("buy_pnl_bps", "sell_pnl_bps")
        for place, buy, sell in zip(places[held].tolist(), *(rows[c][held].tolist() for c in columns), strict=True):
            decision, known, realised, number, action = self._trades.get(place)
            if not isnan(known):
                continue
            paper = buy if action > 0 else sell
            self._trades.mark(place, paper)
            cell = self.cells[number]
            cell.paper += 1
            cell.paper_bps += paper
            if not isnan(realised):
                self._both(number, decision, paper, realised)

    def _join(self, stored: StoredOutcome) -> None:
        outcome, counts = stored.outcome, self.state.counts
        place = self._trades.place(outcome.decision_id)
        if place is None:
            counts["late" if outcome.decision_id <= self._trades.forgotten else "not_acted"] += 1
            return
        decision, paper, _, number, _ = self._trades.get(place)
        cell = self.cells[number]
        if self.cells.keys[number].model != outcome.model:
            counts["wrong_model"] += 1
            return
        counts["matched"] += 1
        if outcome.kind == "fill":
            cell.fills += 1
            return
        if outcome.pnl_usd is not None:
            cell.in_usd += 1
            cell.realised_usd += outcome.pnl_usd
        if outcome.pnl_bps is not None:
            cell.realised += 1
            cell.realised_bps += outcome.pnl_bps
            self._trades.realise(place, outcome.pnl_bps)
            if not isnan(paper):
                self._both(number, decision, paper, outcome.pnl_bps)

    def _both(self, number: int, decision: int, paper: float, realised: float) -> None:
        key, cell = self.cells.keys[number], self.cells[number]
        cell.both += 1
        cell.both_paper_bps += paper
        cell.both_realised_bps += realised
        if self.policy.action == "off":
            return
        comparison = self._comparisons.setdefault((key.model, key.version), Comparison())
        if comparison.fold(realised - paper, decision, self.policy):
            said = reading(key.model, key.version, comparison, self.policy)
            self.turned.append(Turn(decision=decision, reading=said))
