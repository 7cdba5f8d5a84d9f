"""A format of one's own: what reads it, and how the platform finds it."""

import importlib
import inspect
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Final, Protocol, cast

from data_contracts.errors import UsageError
from data_contracts.recording import Recording

GROUP: Final = "ringcraft.formats"
"""The entry points that name formats of one's own."""


class FeedFormat(Protocol):
    """Reads recordings of one format; a module with these two functions is one too.

    One whose `read` also takes the keyword `depth` is asked for the levels of the book beside the events with it.
    """

    def claims(self, source: Path) -> bool:
        """Whether the file or folder is of this format, by its name or its first bytes; never raises."""

    def read(self, source: Path, instrument: str | None) -> tuple[Recording, ...]:
        """Return one recording a day of one instrument, oldest first.

        Args:
            source: a file or folder that was claimed.
            instrument: VENUE:SYMBOL, or SYMBOL where that is unambiguous; None where there is only one.

        Raises:
            UsageError: no way to tell which instrument is meant (market_data.formats.touch.choose tells).
            FormatError: the bytes are not what the format says; names the byte, or the row and column.
        """


def takes_depth(reader: FeedFormat) -> bool:
    """Whether the reader can be asked for the levels of the book."""
    return "depth" in inspect.signature(reader.read).parameters


@cache  # looking through what is installed takes a tenth of a second
def registered() -> dict[str, EntryPoint]:
    """Return what installed packages name under `ringcraft.formats`, by name."""
    return {each.name: each for each in entry_points(group=GROUP)}


def load(name: str) -> FeedFormat:
    """Return the format of an entry point's name, or of `package.module:Class`.

    Raises:
        UsageError: there is none, it cannot be imported, or it has no `claims` and `read`.
    """
    entry = registered().get(name)
    if entry is None and str(Path.cwd()) not in sys.path:  # a module of one's own lies where one works
        sys.path.insert(0, str(Path.cwd()))
    module_name, colon, attribute = (entry.value if entry else name).partition(":")
    if not colon:
        raise UsageError(f"format {name}: expected package.module:Class, got {entry.value if entry else name!r}")
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
        reader = found() if inspect.isclass(found) else found
    except Exception as error:  # another's code: whatever it raises is why it cannot be used
        raise UsageError(f"format {name}: cannot be loaded: {type(error).__name__}: {error}") from None
    lacking = [part for part in ("claims", "read") if not callable(getattr(reader, part, None))]
    if lacking:
        raise UsageError(f"format {name}: expected claims and read, got no {' and no '.join(lacking)}")
    return cast(FeedFormat, reader)
