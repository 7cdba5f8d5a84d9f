"""What a trading system reports of a decision: a fill, or what it earned in the end."""

import re
from math import isfinite
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

INT64_MAX: Final = 2**63 - 1
"""Databases keep whole numbers so far."""

_Id = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
_DECIMAL: Final = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_Whole = Annotated[int, Meta(ge=0, le=INT64_MAX)]
_Positive = Annotated[int, Meta(ge=1, le=INT64_MAX)]
Kind = Literal["fill", "realised"]
Side = Literal["buy", "sell"]
Status = Literal["accepted", "unknown"]


class PostedOutcome(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One outcome as it was posted. A decision may have many fills and one realised outcome.

    Raises:
        ValueError: a fill without price, lots and side; a realised outcome without PnL; a number that is none.
    """

    outcome_id: _Id
    """The sender's own name for it: posted twice, it counts once."""
    decision_id: _Positive
    model: _Id
    kind: Kind
    pnl_bps: float | None = None
    """After all costs, in bps of the mid at entry, as mark-outs are."""
    pnl_usd: float | None = None
    """After all costs."""
    price: Annotated[str, Meta(min_length=1, max_length=40)] | None = None
    """Decimal, in the instrument's currency."""
    lots: _Positive | None = None
    side: Side | None = None
    fee_bps: float | None = None
    """Paid, of the price; negative where a rebate was."""
    time_ns: _Whole
    """When it was filled, or known: UTC nanoseconds since 1970, by the venue's clock where there is one."""

    def __post_init__(self) -> None:
        for name in ("pnl_bps", "pnl_usd", "fee_bps"):
            number = getattr(self, name)
            if number is not None and not isfinite(number):
                raise ValueError(f"{name}: expected a finite number, got {number}")
        if self.price is not None and not _DECIMAL.fullmatch(self.price):
            raise ValueError(f"price: expected a decimal number in a string, got {self.price!r}")
        if self.kind == "fill":
            for name in ("price", "lots", "side"):
                if getattr(self, name) is None:
                    raise ValueError(f"{name}: expected a value of a fill, got none")
        elif self.pnl_bps is None and self.pnl_usd is None:
            raise ValueError("pnl_bps: expected pnl_bps or pnl_usd of a realised outcome, got neither")


class StoredOutcome(Struct, frozen=True, kw_only=True):
    """An outcome that was accepted, with its place among the journal's records."""

    sequence: int
    """In order of acceptance, from 1; numbers may be left out."""
    position: int
    """Records that the controller's fold had consumed when it took the outcome: merged with the journal by it, live,
    after a restart and offline, the fold is the same."""
    wall_ns: int
    """When it was accepted, our clock."""
    status: Status
    """unknown: no decision of that number had been seen by then; it is joined if the decision comes."""
    outcome: PostedOutcome
