"""What a DBN file's head says, and on which grid its instruments trade."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from data_contracts.errors import FormatError, MissingDependencyError, UsageError
from data_contracts.instrument import Instrument
from market_data.formats import packed

_PRELUDE_BYTES: Final = 8  # DBN, the version, and how long the rest of the head is
_NO_PRICE: Final = 2**63 - 1
_UNITS: Final = Decimal(10**9)
_MOST_TICKS: Final = 2**31 - 1


class _Beside(Struct, frozen=True, kw_only=True):
    """What is written beside a recording; `date`, which other formats need, is not looked at."""

    instrument: Instrument


@dataclass(frozen=True)
class Head:
    """What a file's head says.

    Attributes:
        bytes: how long it is.
        schema: of the records; None where they are of several.
        venue: the dataset's, GLBX of GLBX.MDP3.
        start_ns: of what was asked for, UTC.
        has_sent: whether the time of sending follows each record.
        names: symbol of each instrument id.
    """

    bytes: int
    schema: str | None
    venue: str
    start_ns: int
    has_sent: bool
    names: dict[int, str]


def no_price(prices: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where no price stands."""
    return np.asarray(prices == _NO_PRICE)


def read_head(path: Path, data: bytes) -> Head:
    """Return the head of a file's bytes.

    Raises:
        FormatError: it is no head of DBN, or not whole.
        MissingDependencyError: databento-dbn is not there.
    """
    if data[:3] != b"DBN" or len(data) < _PRELUDE_BYTES:
        raise FormatError(path, where="byte 0", expected="DBN and its version", got=data[:4].hex(" ") or "nothing")
    length = _PRELUDE_BYTES + int.from_bytes(data[4:8], "little")
    if length > len(data):
        raise FormatError(path, where="byte 4", expected=f"a head of {length} bytes", got=f"{len(data)}")
    decoder = _databento()
    try:
        said = decoder.Metadata.decode(data[:length])
        names = dict(_names(said, str(decoder.SType.INSTRUMENT_ID)))
        return Head(
            bytes=length,
            schema=None if said.schema is None else str(said.schema),
            venue=said.dataset.partition(".")[0] or "DBN",
            start_ns=int(said.start),
            has_sent=bool(said.ts_out),
            names=names,
        )
    except Exception as error:  # the package raises what Rust raises, its own and ValueError among others
        raise FormatError(path, where="head, byte 8", expected="DBN's", got=str(error)) from None


def _names(said: Any, ids: str) -> Iterable[tuple[int, str]]:  # noqa: ANN401  databento-dbn's Metadata
    for name, intervals in said.mappings.items():
        for interval in intervals:
            number, symbol = (interval["symbol"], name) if str(said.stype_out) == ids else (name, interval["symbol"])
            if number.isdecimal():
                yield int(number), symbol


def names_of(head: Head, found: Sequence[int]) -> dict[int, str]:
    """Return the symbol of each id: the head's, with the id where several share it; without one, the id."""
    said = {each: head.names.get(each, str(each)) for each in found}
    shared = {name for name in said.values() if list(said.values()).count(name) > 1}
    return {each: f"{name}-{each}" if name in shared else name for each, name in said.items()}


def describe(path: Path, symbol: str, ids: set[int], prices: Sequence[NDArray[np.int64]]) -> tuple[Instrument, int]:
    """Return the instrument, and its tick in 1e-9.

    Both are of `<name>.instrument.json` beside the file, else of a file of definitions in its folder
    (`*.definition.dbn`, packed or not), else the tick is the greatest that divides every price and a dollar is paid.

    Raises:
        FormatError: those files cannot be read, or no tick divides the prices of a book.
        UsageError: a tick that is no multiple of 1e-9.
    """
    traded = _beside(path, symbol) or _defined(path, symbol, ids)
    positive = np.concatenate(prices)
    if (positive <= 0).any():
        raise FormatError(path, where=f"prices of {symbol}", expected="over 0", got=str(positive.min()))
    if traded is None:
        per_tick = int(np.gcd.reduce(positive)) if len(positive) else 10**9
        traded = Instrument(symbol=symbol, tick_size=_decimal(per_tick), lot_size="1", currency="USD")
    exact = Decimal(traded.tick_size) * _UNITS
    per_tick = int(exact)
    if per_tick != exact:
        raise UsageError(f"{path}: tick size: expected a multiple of 0.000000001, got {traded.tick_size}")
    if len(positive) and int(positive.max()) // per_tick > _MOST_TICKS:
        where = f"prices of {symbol}"
        got = f"{traded.tick_size}; name the instrument in {path.name}.instrument.json"
        raise FormatError(path, where=where, expected=f"a tick that prices are at most {_MOST_TICKS} of", got=got)
    return traded, per_tick


def _beside(path: Path, symbol: str) -> Instrument | None:
    beside = path.with_name(path.name + ".instrument.json")
    try:
        found = msgspec.json.decode(beside.read_bytes(), type=_Beside).instrument
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UsageError) as error:
        raise FormatError(beside, where="file", expected="an instrument", got=str(error)) from None
    return found if found.symbol == symbol else None


def _defined(path: Path, symbol: str, ids: set[int]) -> Instrument | None:
    decoder = _databento()
    for definitions in sorted(path.parent.glob("*.definition.dbn*")):
        data = packed.read_bytes(definitions)
        reader = decoder.DBNDecoder()
        try:
            records = reader.write_and_decode(data)
        except Exception as error:  # as in read_head()
            raise FormatError(definitions, where="file", expected="DBN", got=str(error)) from None
        for each in records:
            if (
                isinstance(each, decoder.InstrumentDefMsg)
                and each.instrument_id in ids
                and each.min_price_increment > 0
            ):
                whole = each.unit_of_measure_qty
                return Instrument(
                    symbol=symbol,
                    tick_size=_decimal(each.min_price_increment),
                    lot_size="1",
                    currency=each.currency or "USD",
                    multiplier=whole / 1e9 if 0 < whole < _NO_PRICE else 1.0,
                )
    return None


def _decimal(billionths: int) -> str:
    return format((Decimal(billionths) / _UNITS).normalize(), "f")


def _databento() -> Any:  # noqa: ANN401  a module
    try:
        import databento_dbn
    except ImportError:
        raise MissingDependencyError("DBN needs databento-dbn: pip install 'ringcraft[training]'") from None
    return databento_dbn
