"""A journal in several segments, as a worker leaves it when each is full."""

import struct
from pathlib import Path

from data_contracts.journal import RECORD_BYTES, RecordType
from native._native import crc32c
from support.journals import JournalWriter


def write_segments(writer: JournalWriter, folder: Path, size: int, first_index: int = 0) -> list[Path]:
    """Write all records, `size` to a segment; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, start in enumerate(range(0, len(writer.records), size), 1):
        header = struct.pack("<8sIIQ36x", b"RCJOURN1", 1, RECORD_BYTES, first_index + start)
        records = writer.records[start : start + size]
        sealed = b"".join(struct.pack("<I", crc32c(record[4:])) + record[4:] for record in records)
        path = folder / f"{number:08d}.rcj"
        path.write_bytes(header + struct.pack("<I", crc32c(header)) + sealed)
        paths.append(path)
    return paths


def spell_instrument(writer: JournalWriter, index: int, name: str) -> None:
    """Add a record that names an instrument."""
    writer.add(RecordType.NAME, kind=1, name_index=index)
    writer.records[-1] = writer.records[-1][:24] + name.encode().ljust(104, b"\0")
