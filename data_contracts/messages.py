"""What stores and buses are told: events, features, decisions and outcomes, with names instead of indices.

A reader passes over fields that it does not know, so that a field may be added within a version; anything else that
changes makes a new VERSION.
"""

from typing import Final, Literal

from msgspec import Struct

VERSION: Final = 1
Topic = Literal["events", "decisions", "outcomes"]
TOPICS: Final[tuple[Topic, ...]] = ("events", "decisions", "outcomes")


class EventMessage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The touch right after a market event, and what traded in it; fields as in MARKET_EVENT."""

    instrument: str
    event_ns: int
    receive_ns: int
    sequence: int
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int
    trade_ticks: int
    trade_lots: int
    flags: int
    levels: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None = None
    """Ten levels a side, best first, as in BookDepths: bid ticks, bid lots, ask ticks, ask lots; None: not told."""


class FeaturesMessage(Struct, frozen=True, kw_only=True):
    """A feature vector."""

    instrument: str
    event_ns: int
    feature_set: str
    feature_hash: str
    names: tuple[str, ...]
    values: tuple[float, ...]


class DecisionMessage(Struct, frozen=True, kw_only=True):
    """An answer that was acted on, as the journal has it."""

    decision_id: int
    model: str
    version: int
    arm: str
    instrument: str
    event_ns: int
    receive_ns: int
    answer_ns: int
    sequence: int
    bid_ticks: int
    ask_ticks: int
    outputs: tuple[float | None, float | None, float | None, float | None]
    """None where the model gave no finite number."""
    action: int
    """1 buy, -1 sell, 0 nothing."""
    abstain: str
    """Why no number was given to act on; none where one was."""
    late: bool
    epoch: int
    share_bps: int
    door: str = ""
    """By which it was asked for; feed: by none. Empty in messages of before this was told."""
    request_key: str = ""
    """Of the request, hashed, as 16 hexadecimal digits; empty where it had none.

    Rows asked for together without a key that draws the arm have their first one's id instead.
    """


class OutcomeMessage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a decision earned: a mark-out of the journal, or a fill or a realised PnL that was posted."""

    outcome_id: str
    """Unique and the same each time it is told: who hears it twice counts it once."""
    decision_id: int
    model: str
    kind: Literal["markout", "fill", "realised"]
    instrument: str
    """Of the decision; empty where a posted outcome's decision is not known."""
    time_ns: int
    """Event time of a mark-out; of a posted outcome what the sender said."""
    decision_event_ns: int | None = None
    horizon: int | None = None
    """Place among the model's horizons; 0 is the label's."""
    status: str | None = None
    """Of a mark-out: ok, or why it could not be taken."""
    buy_pnl_bps: float | None = None
    sell_pnl_bps: float | None = None
    """What buying and selling at the decision earned, after costs."""
    pnl_bps: float | None = None
    pnl_usd: float | None = None
    price: str | None = None
    lots: int | None = None
    side: str | None = None


Message = EventMessage | FeaturesMessage | DecisionMessage | OutcomeMessage
"""Everything that is told."""
