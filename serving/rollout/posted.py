"""What the trading system posted of one decision, and what the decision earned by it."""

from decimal import Decimal

from msgspec import Struct, field

from data_contracts.journal import MarkoutStatus
from data_contracts.outcome import PostedOutcome
from serving.rollout.records import MarkoutRow

_OK = int(MarkoutStatus.OK)


class PostedCounts(Struct, kw_only=True):
    """What became of posted outcomes in one model's fold."""

    joined: int = 0
    late: int = 0
    """Their decision had been folded already."""
    unknown: int = 0
    """The model took no decision of that number, as far as the journal shows."""
    duplicate: int = 0
    """The same outcome again."""
    contradictory: int = 0
    """Another content under a known id, or a second realised outcome: the first stands."""
    unpriced: int = 0
    """Decisions whose posted outcomes could not be turned into bps: no bps, tick size or mark-out."""
    never: int = 0
    """Decisions that waited for an outcome until their watermark, in vain."""


class Posted(Struct):
    """The outcomes of one decision."""

    realised: PostedOutcome | None = None
    fills: list[PostedOutcome] = field(default_factory=list)

    def add(self, outcome: PostedOutcome, counts: PostedCounts) -> None:
        """Take one in, by the first rule that applies."""
        held = [*self.fills, *([self.realised] if self.realised else [])]
        known = next((one for one in held if one.outcome_id == outcome.outcome_id), None)
        if known is not None:
            counts.duplicate += known == outcome
            counts.contradictory += known != outcome
        elif outcome.kind == "fill":
            self.fills.append(outcome)
            counts.joined += 1
        elif self.realised is not None:
            counts.contradictory += 1
        else:
            self.realised = outcome
            counts.joined += 1

    def pnl_bps(self, markout: MarkoutRow, tick_size: float | None) -> float | None:
        """Return what the decision earned, in bps of the mid at entry; None where that cannot be said.

        Args:
            markout: the decision's.
            tick_size: price of a tick; None where it is not known.
        """
        if self.realised is not None and self.realised.pnl_bps is not None:
            return self.realised.pnl_bps
        return fills_pnl_bps(self.fills, markout, tick_size)


def fills_pnl_bps(fills: list[PostedOutcome], markout: MarkoutRow, tick_size: float | None) -> float | None:
    """Return what fills earned against the decision's mark: side x (mark mid - price) - fee, weighted by lots.

    Args:
        fills: of one decision.
        markout: its mark-out; gives the mark and, as for mark-outs, the mid at entry that bps are of.
        tick_size: price of a tick; None where it is not known.
    """
    mid_at_entry = (markout.entry_bid_ticks + markout.entry_ask_ticks) / 2.0
    if not fills or tick_size is None or markout.status != _OK or not mid_at_entry > 0.0:
        return None
    mark_ticks = markout.mark_mid_x2_ticks / 2.0
    earned = lots = 0.0
    for fill in fills:
        price_ticks = float(Decimal(fill.price or "NaN")) / tick_size
        side = 1.0 if fill.side == "buy" else -1.0
        fee_ticks = price_ticks * (fill.fee_bps or 0.0) * 1e-4
        count = float(fill.lots or 0)
        earned += count * (side * (mark_ticks - price_ticks) - fee_ticks)
        lots += count
    return 1e4 * earned / lots / mid_at_entry if lots else None
