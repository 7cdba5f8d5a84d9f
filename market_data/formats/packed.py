"""Files as they come: plain, or packed as gz, xz, zst or zip; unpacked piece by piece, within limits.

What a file is packed as follows from its name's ending, and without one of the four from its first bytes. Streams that
follow each other in one file (gz members, xz streams, zst frames) are one. A zip holds one file.
"""

import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from data_contracts.errors import FormatError, MissingDependencyError, UsageError

ENDINGS: Final = (".gz", ".xz", ".zst", ".zip")
PATTERN: Final = r"(?:\.(?:gz|xz|zst|zip))?"
"""Of an ending, for regular expressions of names."""

_MAGICS: Final = {b"\x1f\x8b": ".gz", b"\xfd7zXZ\x00": ".xz", b"\x28\xb5\x2f\xfd": ".zst", b"PK\x03\x04": ".zip"}
_NAMES: Final = {".gz": "gzip stream", ".xz": "xz stream", ".zst": "zst stream", ".zip": "zip"}
_CHUNK_BYTES: Final = 1 << 16
_MOST_AT_ONCE_BYTES: Final = 1 << 22
_FREE_BYTES: Final = 64 << 20
"""So much may come out of any file."""
_MOST_TIMES: Final = 300
"""And beyond that so many times what went in: market data packs 5 to 60 times, a bomb a thousand times and more."""
_XZ_MEMORY_BYTES: Final = 256 << 20
_ZST_WINDOW_BYTES: Final = 128 << 20  # zstd's own limit for what was not packed with --long


class _Stream(Protocol):
    """One stream of a packed file."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Take packed bytes; return at most so many unpacked ones, or few more."""


def bare_name(path: Path) -> str:
    """Return the file's name without what it says of packing: `day.csv` of `day.csv.gz`."""
    return path.name[: -len(path.suffix)] if path.suffix.lower() in ENDINGS else path.name


def once(paths: Iterable[Path]) -> list[Path]:
    """Return the paths without those whose file is there plain, or packed otherwise and named earlier, too."""
    found: dict[Path, Path] = {}
    for path in paths:
        bare = path.with_name(bare_name(path))
        if path == bare or bare not in found:
            found[bare] = path
    return list(found.values())


def read_bytes(path: Path) -> bytes:
    """Return the file's bytes, unpacked where it is packed.

    Raises:
        UsageError: there is no such file, or it may not be read.
        FormatError: truncated, broken, or unpacking to far more than data does; names the byte in the packed file.
        MissingDependencyError: zst without zstandard.
    """
    return b"".join(chunks(path))


def peek(path: Path, count: int) -> bytes:
    """Return up to `count` bytes of the file's beginning, unpacked; what can be had of one that is broken."""
    start = b""
    try:
        for chunk in chunks(path):
            start += chunk
            if len(start) >= count:
                break
    except (UsageError, FormatError):
        pass
    return start[:count]


def chunks(path: Path) -> Iterator[bytes]:
    """Yield the file's bytes, unpacked, some megabytes at most at a time.

    Raises:
        As read_bytes() does.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would be waited for
            raise UsageError(f"{path}: expected a file, got a pipe or a device, which cannot be read twice")
        with path.open("rb") as file:
            first = file.read(max(map(len, _MAGICS)))
            kind = _kind(path, first)
            file.seek(0)
            if kind is None:
                while chunk := file.read(_MOST_AT_ONCE_BYTES):
                    yield chunk
            else:
                yield from _limited(path, kind, _zipped(path, file) if kind == ".zip" else _streams(path, kind, file))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None


def _kind(path: Path, first: bytes) -> str | None:
    """Return what the file is packed as; refuse one that is not what its name says."""
    begins = next((kind for magic, kind in _MAGICS.items() if first.startswith(magic)), None)
    named = path.suffix.lower()
    if begins is None and first[1:4] == b"\x2a\x4d\x18" and first[0] >> 4 == 5:
        begins = ".zst"  # a frame that is to be skipped, as pzstd writes before each of its own
    if named not in ENDINGS:
        return begins
    if named == ".zip" or begins == named or not first:  # a zip is found from its end, an empty file is truncated
        return named
    raise FormatError(path, where=f"{_NAMES[named]}, byte 0", expected="its first bytes", got=first.hex(" "))


def _limited(path: Path, kind: str, pieces: Iterator[tuple[int, bytes]]) -> Iterator[bytes]:
    total = 0
    for taken, piece in pieces:
        total += len(piece)
        if total > _FREE_BYTES and total > _MOST_TIMES * taken:
            expected = f"at most {_MOST_TIMES} times what is packed"
            got = f"{total} bytes of {taken}"
            raise FormatError(path, where=f"{_NAMES[kind]}, byte {taken}", expected=expected, got=got)
        if piece:
            yield piece


def _streams(path: Path, kind: str, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield how many packed bytes were taken, and what came out."""
    opened, stream = _OPENERS[kind], None
    at = 0
    while data := file.read(_CHUNK_BYTES):
        start, at = at, at + len(data)
        while data:
            if stream is None:
                data = data.lstrip(b"\0")  # padding between streams
                if not data:
                    break
                stream = opened()
            try:
                while True:
                    piece = stream.decompress(data, _MOST_AT_ONCE_BYTES)
                    yield at, piece
                    data = b""
                    if stream.eof or len(piece) < _MOST_AT_ONCE_BYTES:
                        break
            except (zlib.error, lzma.LZMAError, ValueError, MemoryError) as error:
                where = f"{_NAMES[kind]}, bytes {start} to {at}"
                raise FormatError(path, where=where, expected="whole", got=str(error)) from None
            if stream.eof:
                data, stream = stream.unused_data, None
    if stream is not None or at == 0:
        got = f"the end of the file at byte {at}"
        raise FormatError(path, where=_NAMES[kind], expected="whole", got=got)


class _Gzip:
    """zlib's decompressor, which keeps what it could not give yet by itself."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, most: int, /) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, most)


class _Zst:
    """zstandard's decompressor; it gives all at once, so it is handed a little at a time."""

    _STEP_BYTES: Final = 1 << 10

    def __init__(self) -> None:
        self._inner = _zstandard().ZstdDecompressor(max_window_size=_ZST_WINDOW_BYTES).decompressobj()
        self._waiting = b""
        self._error = _zstandard().ZstdError

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inner.unused_data) + self._waiting

    def decompress(self, data: bytes, most: int, /) -> bytes:
        self._waiting += data
        pieces, size = [], 0
        try:
            while self._waiting and size < most and not self.eof:
                step, self._waiting = self._waiting[: self._STEP_BYTES], self._waiting[self._STEP_BYTES :]
                pieces.append(self._inner.decompress(step))
                size += len(pieces[-1])
        except self._error as error:
            raise ValueError(str(error)) from None
        return b"".join(pieces)


def _zstandard() -> Any:  # noqa: ANN401  a module
    try:
        import zstandard
    except ImportError:
        raise MissingDependencyError("reading .zst needs zstandard: pip install 'ringcraft[training]'") from None
    return zstandard


def _xz() -> _Stream:
    return lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)


_OPENERS: Final[dict[str, Callable[[], _Stream]]] = {
    ".gz": _Gzip,
    ".xz": _xz,
    ".zst": _Zst,
}


def _zipped(path: Path, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(file) as archive:
            inside = [each for each in archive.infolist() if not each.is_dir()]
            if len(inside) != 1:
                raise FormatError(path, where="zip", expected="one file", got=f"{len(inside)}")
            with archive.open(inside[0]) as member:
                while chunk := member.read(_MOST_AT_ONCE_BYTES):
                    yield max(min(inside[0].compress_size, size), 1), chunk
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError, OSError) as error:
        got = f"{error or type(error).__name__} in {size} bytes"
        raise FormatError(path, where=f"zip, byte {_broken_at(file, size)}", expected="whole", got=got) from None


def _broken_at(file: BinaryIO, size: int) -> int:
    """Return how far the zip was read, its end where its directory there is what is missing."""
    try:
        return min(file.tell(), size)
    except ValueError:  # closed with the archive
        return size
