"""What is traded: identity, price and size grid, money."""

from decimal import Decimal, InvalidOperation

from msgspec import Struct

from data_contracts.errors import UsageError


class Instrument(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tradable thing at one venue; price = ticks x tick_size, quantity = lots x lot_size."""

    symbol: str
    """VENUE:SYMBOL, for example CFFEX:IF2101."""
    tick_size: str
    lot_size: str
    currency: str
    multiplier: float = 1.0
    """Money per unit of price and lot."""
    fee_bps: float = 0.0
    """Paid on entry, of the traded value."""
    time_zone: str = "UTC"
    stale_after_ns: int = 60_000_000_000
    """A touch older than this, in event time, is not acted on."""

    def __post_init__(self) -> None:
        venue, colon, name = self.symbol.partition(":")
        if not (venue and colon and name):
            raise UsageError(f"instrument {self.symbol!r}: expected VENUE:SYMBOL")
        for field in ("tick_size", "lot_size"):
            text = getattr(self, field)
            try:
                positive = Decimal(text) > 0
            except InvalidOperation:
                positive = False
            if not positive:
                raise UsageError(f"instrument {self.symbol}: {field}: expected a positive decimal, got {text!r}")
