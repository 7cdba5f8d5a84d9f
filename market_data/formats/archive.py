"""The platform's own archive, or a part of it: a day's folder, an instrument's folder in it, one file."""

from pathlib import Path

from data_contracts.recording import Recording
from market_data.formats.touch import choose
from market_data.stores.parquet_archive import files_of, read_files, symbols_in


def claims(source: Path) -> bool:
    """Whether the path is an archive or lies in one."""
    return bool(files_of(source))


def read(source: Path, instrument: str | None, *, depth: bool = False) -> tuple[Recording, ...]:
    """Return one recording for each that was ingested, oldest first.

    Raises:
        UsageError: several instruments and no `instrument`, or none of that name.
        FormatError: a file is damaged.
    """
    return read_files(files_of(source, choose(source, symbols_in(source), instrument)), depth=depth)
