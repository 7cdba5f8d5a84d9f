"""Messages with every field in use."""

import msgspec

from data_contracts.messages import DecisionMessage, EventMessage, FeaturesMessage, OutcomeMessage

NOW_NS = 1_700_000_000_000_000_001


def event(number: int = 0, instrument: str = "TEST:ONE") -> EventMessage:
    return EventMessage(
        instrument=instrument, event_ns=NOW_NS + number, receive_ns=NOW_NS + number + 5, sequence=2**40 + number,
        bid_ticks=100 + number, bid_lots=-1, ask_ticks=101 + number, ask_lots=7, trade_ticks=0, trade_lots=-3,
        flags=4)  # fmt: skip


def deep_event(number: int = 0) -> EventMessage:
    one = tuple(range(number, number + 10))
    return msgspec.structs.replace(event(number), levels=(one, one, one, (0,) * 10))


def features(number: int = 0, instrument: str = "TEST:ONE") -> FeaturesMessage:
    return FeaturesMessage(
        instrument=instrument, event_ns=NOW_NS + number, feature_set="touch_v1", feature_hash="ab" * 32,
        names=("a", "b"), values=(0.1 + number, -1e-300))  # fmt: skip


def decision(number: int = 0, instrument: str = "TEST:ONE", model: str = "m") -> DecisionMessage:
    return DecisionMessage(
        decision_id=number + 1, model=model, version=3, arm="champion", instrument=instrument, event_ns=NOW_NS + number,
        receive_ns=1, answer_ns=2, sequence=5, bid_ticks=100, ask_ticks=101, outputs=(0.5, 0.25, 0.0, -1.0), action=-1,
        abstain="none", late=False, epoch=4, share_bps=1000, door="rest", request_key="0123456789abcdef")  # fmt: skip


def outcome(number: int = 0, instrument: str = "TEST:ONE") -> OutcomeMessage:
    return OutcomeMessage(
        outcome_id=f"markout-{number + 1}-0", decision_id=number + 1, model="m", kind="markout", instrument=instrument,
        time_ns=NOW_NS + number, decision_event_ns=NOW_NS, horizon=0, status="ok", buy_pnl_bps=0.1,
        sell_pnl_bps=-1.1)  # fmt: skip
