"""A tape as data: an order flow, and what happens to it and to its packets when."""

from typing import Final, Literal

from msgspec import Struct

from data_contracts.errors import UsageError

Lines = Literal["A", "B", "AB"]
"""The lines of a MoldUDP64 feed, both of which carry every message."""

LONGEST_S: Final = 86_399.0
"""The venue's clock starts again at midnight."""


class Flow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How orders arrive. Rates are averages in 1/s of event time, of each side; see docs/simulator.md.

    The efficient price drifts by `edge_ticks_per_s` for each standard deviation of the signal, an Ornstein-Uhlenbeck
    process. `informed_share` of the market orders comes from traders who know both.
    """

    arrivals: Literal["hawkes", "poisson"] = "hawkes"
    """Poisson arrivals, state-dependent cancellations: the zero-intelligence book."""
    branching: float = 0.6
    """Of Hawkes arrivals: the part of all arrivals that earlier ones excited; below 1."""
    decay_per_s: float = 20.0
    """Of Hawkes arrivals: a child comes after 1 / decay_per_s seconds on average."""
    market_rate: float = 1.0
    limit_rate: float = 8.0
    limit_decay: float = 0.75
    """Each tick further from the efficient price, a limit order is this much less likely."""
    cancel_rate: float = 0.4
    """Of each resting order."""
    informed_share: float = 0.3
    relaxation_s: float = 10.0
    """Time in which the signal falls to 1/e of itself."""
    edge_ticks_per_s: float = 0.25
    volatility_ticks: float = 0.8
    """Of the efficient price without the edge, per square root of a second."""
    activity: float = 1.0
    """Multiplies every rate, and the decay of the excitation."""
    start_ticks: int = 10_000


class Change(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="change", tag_field="kind"):
    """Other order flow for a while, or for good: factors on rates, volatility and edge, and a drift."""

    start_s: float
    end_s: float | None = None
    market: float = 1.0
    limit: float = 1.0
    cancel: float = 1.0
    buys: float = 1.0
    """Of market orders alone, as `sells`."""
    sells: float = 1.0
    bids: float = 1.0
    """Of limit orders alone, as `asks`."""
    asks: float = 1.0
    drift_ticks_per_s: float = 0.0
    volatility: float = 1.0
    edge: float = 1.0


class Halt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="halt", tag_field="kind"):
    """A trading halt; orders gather from `quote_s` on, and a cross opens trading again at `end_s`."""

    start_s: float
    quote_s: float
    end_s: float


class Overlap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="overlap", tag_field="kind"):
    """A bid that stands untraded at the best ask (`ticks` 0: locked) or `ticks` above it (crossed)."""

    start_s: float
    end_s: float
    ticks: int = 0
    shares: int = 2_000


class Notice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="notice", tag_field="kind"):
    """An event that everybody sees in the feed: a short-sale restriction (Reg SHO, message 'Y')."""

    start_s: float


class Gap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="gap", tag_field="kind"):
    """From `start_s` on packets are lost until `messages` are; `answered`: a retransmission has them."""

    start_s: float
    messages: int
    lines: Lines = "AB"
    answered: bool = False


class Loss(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="loss", tag_field="kind"):
    """A share of the packets is lost."""

    start_s: float
    end_s: float
    share: float
    lines: Lines = "A"
    answered: bool = False


class Duplicates(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="duplicates", tag_field="kind"):
    """A share of the packets comes twice on its line, the second time `late_us` later."""

    start_s: float
    end_s: float
    share: float
    late_us: float = 30.0
    lines: Lines = "AB"


class Reorder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="reorder", tag_field="kind"):
    """A share of the packets comes `late_us` late, behind what was sent after it."""

    start_s: float
    end_s: float
    share: float
    late_us: float = 60_000.0
    lines: Lines = "AB"


class Hold(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="hold", tag_field="kind"):
    """What is sent from `start_s` on comes only at `end_s`, all at once: the feed is stale, then catches up."""

    start_s: float
    end_s: float
    lines: Lines = "AB"


class Skew(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="skew", tag_field="kind"):
    """The recorder's clock is `ahead_us` ahead (negative: behind) of the venue's and gains `ppm` µs a second."""

    start_s: float
    end_s: float | None = None
    ahead_us: float = 0.0
    ppm: float = 0.0


FlowEvent = Change | Halt | Overlap | Notice
PacketFault = Gap | Loss | Duplicates | Reorder | Hold | Skew
Intervention = FlowEvent | PacketFault


class Tape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order flow and all that happens to it. Times of `what` are seconds since the tape's start."""

    name: str
    about: str = ""
    seconds: float = 300.0
    """Of event time."""
    start_s: float = 34_200.0
    """Since midnight in New York."""
    flow: Flow = Flow()
    what: tuple[Intervention, ...] = ()

    @property
    def needs_packets(self) -> bool:
        """Whether something happens to packets."""
        return any(isinstance(each, PacketFault) for each in self.what)


def check_tape(tape: Tape) -> None:
    """Refuse what cannot be simulated.

    Raises:
        UsageError: names the field, what is expected and what it is.
    """
    flow, where = tape.flow, f"tape {tape.name}"
    if flow.arrivals == "hawkes" and not 0 <= flow.branching < 1:
        got = f"got {flow.branching:g}: every arrival would excite one more or several, without end"
        raise UsageError(f"{where}: flow.branching: expected a ratio from 0 to below 1, {got}")
    for name in ("decay_per_s", "market_rate", "limit_rate", "cancel_rate", "relaxation_s", "activity"):
        _demand(0 < getattr(flow, name) < 1e9, f"{where}: flow.{name}", "over 0", getattr(flow, name))
    _demand(0 < flow.limit_decay < 1, f"{where}: flow.limit_decay", "over 0 and below 1", flow.limit_decay)
    _demand(0 <= flow.informed_share <= 1, f"{where}: flow.informed_share", "from 0 to 1", flow.informed_share)
    _demand(0 <= flow.volatility_ticks < 1e6, f"{where}: flow.volatility_ticks", "0 or more", flow.volatility_ticks)
    _demand(abs(flow.edge_ticks_per_s) < 1e6, f"{where}: flow.edge_ticks_per_s", "a number", flow.edge_ticks_per_s)
    _demand(100 <= flow.start_ticks <= 100_000, f"{where}: flow.start_ticks", "100 to 100000", flow.start_ticks)
    _demand(0 <= tape.start_s <= LONGEST_S, f"{where}: start_s", f"0 to {LONGEST_S:g}", tape.start_s)
    room = LONGEST_S - tape.start_s
    _demand(0 < tape.seconds <= room, f"{where}: seconds", f"over 0 and at most {room:g}", tape.seconds)
    for number, each in enumerate(tape.what, start=1):
        _check(each, f"{where}: {type(each).__name__.lower()} {number}")


def _check(each: Intervention, where: str) -> None:
    _demand(0 <= each.start_s <= LONGEST_S, f"{where}: start_s", "0 or more", each.start_s)
    end_s = getattr(each, "end_s", None)
    if end_s is not None:
        _demand(each.start_s < end_s <= LONGEST_S, f"{where}: end_s", f"after start_s, {each.start_s:g}", end_s)
    if isinstance(each, Halt):
        _demand(each.start_s < each.quote_s < each.end_s, f"{where}: quote_s", "between start and end", each.quote_s)
    if isinstance(each, Loss | Duplicates | Reorder):
        _demand(0 <= each.share <= 1, f"{where}: share", "from 0 to 1", each.share)
    if isinstance(each, Duplicates | Reorder):
        _demand(0 <= each.late_us <= 1e9, f"{where}: late_us", "from 0 to 1e9", each.late_us)
    if isinstance(each, Gap):
        _demand(each.messages > 0, f"{where}: messages", "over 0", each.messages)
    if isinstance(each, Overlap):
        _demand(0 <= each.ticks <= 1_000, f"{where}: ticks", "from 0 to 1000", each.ticks)
        _demand(0 < each.shares <= 10**6, f"{where}: shares", "from 1 to 1000000", each.shares)
    if isinstance(each, Skew):
        _demand(abs(each.ahead_us) <= 1e9 and abs(each.ppm) <= 1e5, f"{where}: ahead_us, ppm", "a clock", each.ahead_us)
    if isinstance(each, Change):
        for name in ("market", "limit", "cancel", "buys", "sells", "bids", "asks", "volatility"):
            _demand(0 <= getattr(each, name) <= 1e6, f"{where}: {name}", "from 0 to 1e6", getattr(each, name))
        sound = abs(each.drift_ticks_per_s) <= 1e6 and abs(each.edge) <= 1e6
        _demand(sound, f"{where}: drift_ticks_per_s, edge", "within 1e6", each.drift_ticks_per_s)


def _demand(met: bool, what: str, expected: str, got: object) -> None:
    if not met:
        raise UsageError(f"{what}: expected {expected}, got {got}")
