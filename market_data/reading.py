"""Recordings from files and folders, whatever their format."""

from pathlib import Path
from types import ModuleType
from typing import Final

from data_contracts.errors import UsageError
from data_contracts.recording import Recording
from market_data.formats import (
    archive,
    binance_ws,
    cffex_ticks,
    itch50,
    kraken_ws,
    lobster,
    moldudp64,
    quotes,
    sse_l3,
)

FORMATS: Final[dict[str, ModuleType]] = {
    "archive": archive,
    "binance-ws": binance_ws,
    "cffex-ticks": cffex_ticks,
    "itch50": itch50,
    "kraken-ws": kraken_ws,
    "lobster": lobster,
    "moldudp64": moldudp64,
    "quotes": quotes,
    "sse-l3": sse_l3,
}

WITH_DEPTH: Final = frozenset({"archive", "binance-ws", "itch50", "kraken-ws", "lobster", "moldudp64", "sse-l3"})
"""Formats whose `read` takes `depth` and then keeps the levels; the others have none to keep."""


def read_recordings(
    source: Path | str,
    *,
    format: str | None = None,  # noqa: A002  the option's name
    instrument: str | None = None,
    depth: bool = False,
) -> tuple[Recording, ...]:
    """Return one recording a trading day of one instrument, oldest first.

    Args:
        source: a file, or a folder of them; a day that is there in two formats is read once.
        format: a name in FORMATS; None: found out from names and first bytes.
        instrument: VENUE:SYMBOL, or SYMBOL where that is unambiguous; None where there is only one.
        depth: whether to keep the levels at each event too, 320 bytes more an event, where the format gives them.

    Raises:
        UsageError: no such path, no such format, or no way to tell which instrument is meant.
        FormatError: a file is not what its format says; names the row and column, or the byte.
    """
    path = Path(source)
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    name = _detect(path) if format is None else _known(format)
    reader = FORMATS[name]
    if format is not None and not reader.claims(path):
        raise UsageError(f"{path}: found no recording of format {format}")
    kept = {"depth": True} if depth and name in WITH_DEPTH else {}
    recordings: tuple[Recording, ...] = reader.read(path, instrument, **kept)
    return recordings


def _known(name: str) -> str:
    if name not in FORMATS:
        raise UsageError(f"format: expected one of {', '.join(FORMATS)}, got {name!r}")
    return name


def _detect(path: Path) -> str:
    fitting = [name for name, reader in FORMATS.items() if reader.claims(path)]
    if len(fitting) != 1:
        found = f"fits {', '.join(fitting)}" if fitting else "fits none"
        raise UsageError(f"{path}: {found} of the formats {', '.join(FORMATS)}: name one")
    return fitting[0]
