"""Writes received messages as a recording, a file a UTC day and run, with its instrument beside it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from data_contracts.errors import UsageError
from data_contracts.instrument import Instrument
from market_data.crypto.lines import day_of


class Recorder:
    """Lines in `<venue>-<symbol>-<start>.jsonl`; a disk that takes no more stops it with UsageError."""

    def __init__(self, folder: Path, instrument: Instrument) -> None:
        self.files: list[Path] = []
        self._folder, self._instrument = folder, instrument
        self._day, self._file = "", None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{folder}: {error.strerror or error}") from None

    _file: BinaryIO | None

    def write(self, receive_ns: int, payload: bytes) -> None:
        """Keep a message; it is on its way to the disk after the next flush()."""
        try:
            if self._file is None or day_of(receive_ns) != self._day:
                self._open(receive_ns)
            if self._file is not None:
                self._file.write(b"%d %s\n" % (receive_ns, payload))
        except OSError as error:
            raise UsageError(f"{self._folder}: {error.strerror or error}") from None

    def flush(self) -> None:
        """Hand what was written to the system."""
        try:
            if self._file is not None:
                self._file.flush()
        except OSError as error:
            raise UsageError(f"{self._folder}: {error.strerror or error}") from None

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        if self._file is not None:
            self._file.close()
        self._file = None

    def _open(self, receive_ns: int) -> None:
        self.close()
        start = datetime.fromtimestamp(receive_ns // 1_000_000_000, tz=UTC).strftime("%Y%m%dT%H%M%S")
        stem = self._instrument.symbol.replace(":", "-").lower()
        path = self._folder / f"{stem}-{start}.{receive_ns % 1_000_000_000:09}.jsonl"
        beside = path.with_name(f"{path.name}.instrument.json")
        beside.write_bytes(msgspec.json.format(msgspec.json.encode(self._instrument)))
        self._file = path.open("xb")
        self._day = day_of(receive_ns)
        self.files.append(path)
