"""An outcome that makes no sense is refused with the field's name, what was expected and what came."""

import math

import msgspec
import pytest

from data_contracts.outcome import PostedOutcome

FILL = {"outcome_id": "f-1", "decision_id": 7, "model": "m", "kind": "fill", "price": "101.25", "lots": 2,
        "side": "buy", "time_ns": 5}  # fmt: skip
REALISED = {"outcome_id": "r-1", "decision_id": 7, "model": "m", "kind": "realised", "pnl_bps": -1.5, "time_ns": 5}


@pytest.mark.parametrize("whole", [FILL, REALISED, {**REALISED, "pnl_bps": None, "pnl_usd": 12.0}])
def test_a_whole_outcome_survives_encoding(whole: dict) -> None:
    outcome = msgspec.convert(whole, PostedOutcome)
    assert msgspec.json.decode(msgspec.json.encode(outcome), type=PostedOutcome) == outcome
    assert outcome.decision_id == 7


@pytest.mark.parametrize(
    ("base", "change", "said"),
    [
        (FILL, {"price": None}, "price: expected a value of a fill, got none"),
        (FILL, {"lots": None}, "lots: expected a value of a fill"),
        (FILL, {"side": None}, "side: expected a value of a fill"),
        (FILL, {"price": "cheap"}, "price: expected a decimal number in a string, got 'cheap'"),
        (FILL, {"price": "NaN"}, "price: expected a decimal number"),
        (FILL, {"price": 101.25}, "`$.price`"),
        (FILL, {"side": "hold"}, "`$.side`"),
        (FILL, {"lots": 0}, "`$.lots`"),
        (REALISED, {"pnl_bps": None}, "pnl_bps: expected pnl_bps or pnl_usd of a realised outcome, got neither"),
        (REALISED, {"pnl_bps": math.nan}, "pnl_bps: expected a finite number, got nan"),
        (REALISED, {"fee_bps": math.inf}, "fee_bps: expected a finite number, got inf"),
        (REALISED, {"decision_id": -1}, "`$.decision_id`"),
        (REALISED, {"decision_id": 2**63}, "`$.decision_id`"),
        (REALISED, {"outcome_id": ""}, "`$.outcome_id`"),
        (REALISED, {"venue": "SSE"}, "unknown field `venue`"),
    ],
)
def test_a_broken_outcome_is_refused_by_name(base: dict, change: dict, said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.convert({**base, **change}, PostedOutcome)
    assert said in str(refusal.value)
