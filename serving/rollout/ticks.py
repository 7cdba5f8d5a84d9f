"""Tick sizes beside the journal: what a posted fill's price is turned into ticks by."""

import os
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from data_contracts.errors import JournalError
from data_contracts.instrument import Instrument

TICKS_FILE: Final = "ticks.json"
TickOf = Callable[[str], float | None]
"""From an instrument's symbol to its tick size; None where it is not known."""


def unknown_tick(_symbol: str) -> float | None:
    """Know no tick size."""
    return None


class TickFile:
    """ticks.json: symbol to tick size, as the feed introduced it; the first word on an instrument stands."""

    def __init__(self, folder: Path) -> None:
        """Read what is there.

        Raises:
            JournalError: it is there and is something else.
        """
        self._path = folder / TICKS_FILE
        self._sizes: dict[str, str] = {}
        try:
            self._sizes = msgspec.json.decode(self._path.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as error:
            raise JournalError(f"{self._path}: expected tick sizes by symbol: {error}") from None

    def keep(self, instruments: Iterable[Instrument]) -> None:
        """Keep those that are new, on the disk on return."""
        new = {one.symbol: one.tick_size for one in instruments if one.symbol not in self._sizes}
        if not new:
            return
        sizes = {**self._sizes, **new}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(msgspec.json.encode(sizes))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)
        self._sizes = sizes

    def of(self, symbol: str) -> float | None:
        """Return the instrument's tick size; None where it was never introduced."""
        text = self._sizes.get(symbol)
        return float(Decimal(text)) if text is not None else None
