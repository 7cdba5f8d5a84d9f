"""Where Binance's markets are reached, and how they state an instrument.

Source: Binance, public documentation of spot, USD-M and COIN-M futures: websocket market streams and market data
endpoints.
"""

from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import Struct

from data_contracts.errors import MarketDataError
from data_contracts.instrument import Instrument
from market_data.formats.binance_ws import FEES_BPS


class Market(Struct, frozen=True, kw_only=True):
    """One of Binance's markets; addresses may be replaced by others that speak the same."""

    name: str
    venue: str
    websocket: str
    rest: str
    prefix: str
    """Of REST paths."""
    depth_stream: str
    snapshot_levels: int
    """The most that a snapshot may ask for."""

    def stream_url(self, symbol: str) -> str:
        """Return the address of the combined streams of a symbol: diffs, bookTicker and trades."""
        name = symbol.lower()
        return f"{self.websocket}/stream?streams={name}@{self.depth_stream}/{name}@bookTicker/{name}@trade"

    def snapshot_url(self, symbol: str) -> str:
        """Return the address of a symbol's snapshot."""
        return f"{self.rest}{self.prefix}/depth?symbol={symbol}&limit={self.snapshot_levels}"

    def symbol_url(self, symbol: str) -> str:
        """Return the address of what the venue says of a symbol."""
        return f"{self.rest}{self.prefix}/exchangeInfo?symbol={symbol}"


MARKETS: Final[dict[str, Market]] = {
    "spot": Market(
        name="spot",
        venue="BINANCE",
        websocket="wss://stream.binance.com:9443",
        rest="https://api.binance.com",
        prefix="/api/v3",
        depth_stream="depth@100ms",
        snapshot_levels=5000,
    ),
    "usdm": Market(
        name="usdm",
        venue="BINANCE_USDM",
        websocket="wss://fstream.binance.com",
        rest="https://fapi.binance.com",
        prefix="/fapi/v1",
        depth_stream="depth@0ms",
        snapshot_levels=1000,
    ),
    "coinm": Market(
        name="coinm",
        venue="BINANCE_COINM",
        websocket="wss://dstream.binance.com",
        rest="https://dapi.binance.com",
        prefix="/dapi/v1",
        depth_stream="depth@0ms",
        snapshot_levels=1000,
    ),
}


class _Symbol(Struct, frozen=True):
    symbol: str
    quoteAsset: str  # noqa: N815  the venue's name
    filters: list[dict[str, Any]]
    baseAssetPrecision: int = 8  # noqa: N815
    quantityPrecision: int | None = None  # noqa: N815  futures only


class _ExchangeInfo(Struct, frozen=True):
    symbols: list[_Symbol]


def instrument_from(market: Market, symbol: str, body: bytes, *, stale_after_s: float) -> Instrument:
    """Return the instrument that an exchangeInfo describes.

    The lot is the quantity's precision, not the smallest order: books hold rests that are smaller than that.

    Raises:
        MarketDataError: the venue does not know the symbol, or the answer is no exchangeInfo.
    """
    try:
        found = next(each for each in msgspec.json.decode(body, type=_ExchangeInfo).symbols if each.symbol == symbol)
        tick = next(str(each["tickSize"]) for each in found.filters if each.get("filterType") == "PRICE_FILTER")
        decimals = found.baseAssetPrecision if found.quantityPrecision is None else found.quantityPrecision
        return Instrument(
            symbol=f"{market.venue}:{symbol}",
            tick_size=format(Decimal(tick).normalize(), "f"),
            lot_size=format(Decimal(1).scaleb(-min(max(decimals, 0), 12)), "f"),
            currency=found.quoteAsset,
            fee_bps=FEES_BPS[market.venue],
            stale_after_ns=int(stale_after_s * 1e9),
        )
    except StopIteration:
        raise MarketDataError(f"{symbol}: expected a symbol with a PRICE_FILTER, the venue has none") from None
    except (msgspec.DecodeError, ArithmeticError, KeyError) as error:
        raise MarketDataError(f"{symbol}: expected an exchangeInfo, got {error}") from None
