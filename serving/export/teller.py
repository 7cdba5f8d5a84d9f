"""Records of the journal, and posted outcomes, as messages with names instead of indices."""

from collections import OrderedDict
from collections.abc import Sequence
from math import isfinite
from typing import Final, NamedTuple

from data_contracts.journal import AbstainReason, Arm, Door, MarkoutStatus
from data_contracts.messages import DecisionMessage, Message, OutcomeMessage, Topic
from serving.archive.segment import Names
from serving.journal_records import DecisionRecord, MarkoutRecord, NameRecord, RecordBatch, decode
from serving.outcomes.port import Kept

_REMEMBERED: Final = 200_000
"""Decisions whose instrument is known when their outcome is posted."""


class Told(NamedTuple):
    """A message, and what it is keyed by: the instrument."""

    topic: Topic
    key: str
    message: Message


class Teller:
    """Knows what indices mean at its place in the journal."""

    def __init__(self, names: Names) -> None:
        """Begin where `names` holds."""
        self.names = names
        self._instruments: OrderedDict[int, str] = OrderedDict()

    def records(self, batch: RecordBatch) -> list[Told]:
        """Return what the next records say: decisions and mark-outs; the others are nobody's but the tier's."""
        told: list[Told] = []
        for record in decode(batch):
            if isinstance(record, NameRecord):
                self.names.spell(record)
            elif isinstance(record, DecisionRecord):
                told.append(self._decision(record))
            elif isinstance(record, MarkoutRecord):
                told.append(self._markout(record))
        return told

    def posted(self, kept: Sequence[Kept]) -> list[Told]:
        """Return what was posted; the instrument is empty where the decision was long ago."""
        return [self._posted(one) for one in kept]

    def _decision(self, record: DecisionRecord) -> Told:
        instrument = self._instrument(record.instrument)
        self._instruments[record.decision_id] = instrument
        if len(self._instruments) > _REMEMBERED:
            self._instruments.popitem(last=False)
        message = DecisionMessage(
            decision_id=record.decision_id,
            model=self._model(record.model),
            version=record.version,
            arm=_word(Arm, record.arm),
            instrument=instrument,
            event_ns=record.event_ns,
            receive_ns=record.receive_ns,
            answer_ns=record.answer_ns,
            sequence=record.sequence,
            bid_ticks=record.bid_ticks,
            ask_ticks=record.ask_ticks,
            outputs=(
                _number(record.output_0),
                _number(record.output_1),
                _number(record.output_2),
                _number(record.output_3),
            ),
            action=record.action,
            abstain=_word(AbstainReason, record.abstain),
            late=bool(record.late),
            epoch=record.epoch,
            share_bps=record.share_bps,
            door=_word(Door, record.door),
            request_key=f"{record.request_key:016x}" if record.request_key else "",
        )
        return Told("decisions", instrument, message)

    def _markout(self, record: MarkoutRecord) -> Told:
        instrument = self._instrument(record.instrument)
        usable = record.status == MarkoutStatus.OK
        message = OutcomeMessage(
            outcome_id=f"markout-{record.decision_id}-{record.horizon}",
            decision_id=record.decision_id,
            model=self._model(record.model),
            kind="markout",
            instrument=instrument,
            time_ns=record.resolved_event_ns,
            decision_event_ns=record.decision_event_ns,
            horizon=record.horizon,
            status=_word(MarkoutStatus, record.status),
            buy_pnl_bps=_number(record.buy_pnl_bps) if usable else None,
            sell_pnl_bps=_number(record.sell_pnl_bps) if usable else None,
        )
        return Told("outcomes", instrument, message)

    def _posted(self, kept: Kept) -> Told:
        one = kept.outcome
        instrument = self._instruments.get(one.decision_id, "")
        message = OutcomeMessage(
            outcome_id=one.outcome_id,
            decision_id=one.decision_id,
            model=one.model,
            kind=one.kind,
            instrument=instrument,
            time_ns=one.time_ns,
            pnl_bps=one.pnl_bps,
            pnl_usd=one.pnl_usd,
            price=one.price,
            lots=one.lots,
            side=one.side,
        )
        return Told("outcomes", instrument or "unknown", message)

    def _model(self, index: int) -> str:
        return self.names.models.get(index, f"model-{index}")

    def _instrument(self, index: int) -> str:
        return self.names.instruments.get(index, f"instrument-{index}")


def _word(kind: type[Arm] | type[AbstainReason] | type[Door] | type[MarkoutStatus], code: int) -> str:
    try:
        return kind(code).name.lower()
    except ValueError:
        return str(code)


def _number(value: float) -> float | None:
    """Return a number that JSON and line protocol can say."""
    return value if isfinite(value) else None
