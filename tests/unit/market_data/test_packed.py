"""Packed input: the same bytes whatever they are packed as; broken, truncated and swollen files in one clear line."""

import bz2
import gzip
import io
import lzma
import os
import random
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from data_contracts.errors import FormatError, UsageError
from market_data.formats import packed
from market_data.reading import read_recordings

NOISE = random.Random(7).randbytes(300_000) + b"0123456789" * 200_000


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.csv", data)
    return file.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    ".zip": zipped,
}


@pytest.mark.parametrize("ending", packed.ENDINGS)
def test_what_was_packed_comes_out_whole(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"day.csv{ending}"
    path.write_bytes(PACKERS[ending](NOISE))
    assert packed.read_bytes(path) == NOISE
    assert packed.bare_name(path) == "day.csv"
    assert packed.peek(path, 100) == NOISE[:100]
    nameless = tmp_path / "day"
    nameless.write_bytes(path.read_bytes())
    assert packed.read_bytes(nameless) == NOISE


def test_zst_may_begin_with_a_frame_that_is_to_be_skipped(tmp_path: Path) -> None:
    path = tmp_path / "day.csv.zst"
    path.write_bytes(b"\x5f\x2a\x4d\x18\x04\x00\x00\x00size" + PACKERS[".zst"](b"one"))
    assert packed.read_bytes(path) == b"one"


@pytest.mark.parametrize("ending", [".gz", ".xz", ".zst"])
def test_streams_that_follow_each_other_are_one(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"day.csv{ending}"
    pack = PACKERS[ending]
    path.write_bytes(pack(b"one") + pack(b"two" * 100_000) + pack(b"") + pack(b"three"))
    assert packed.read_bytes(path) == b"one" + b"two" * 100_000 + b"three"


@pytest.mark.parametrize("ending", packed.ENDINGS)
@pytest.mark.parametrize("share", [0.0, 0.0001, 0.5, 0.99, 0.99999])
def test_truncated_file_is_refused_with_the_byte(tmp_path: Path, ending: str, share: float) -> None:
    whole = PACKERS[ending](NOISE)
    path = tmp_path / f"day.csv{ending}"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(FormatError, match=r"byte \d+"):
        packed.read_bytes(path)
    assert NOISE.startswith(packed.peek(path, 10))


@pytest.mark.parametrize("ending", packed.ENDINGS)
def test_garbled_file_is_refused_or_whole_and_never_crashes(tmp_path: Path, ending: str) -> None:
    whole = PACKERS[ending](NOISE[-3_000:] + NOISE[:3_000])
    chance = random.Random(11)
    path = tmp_path / f"day.csv{ending}"
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        try:
            packed.read_bytes(path)
        except FormatError:
            refused += 1
    assert refused > 100  # some fields nobody reads


@pytest.mark.parametrize("ending", packed.ENDINGS)
def test_bomb_is_refused_before_it_is_whole(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_FREE_BYTES", 1 << 20)
    path = tmp_path / f"bomb.csv{ending}"
    path.write_bytes(PACKERS[ending](bytes(10 << 20)))
    with pytest.raises(FormatError, match="expected at most 300 times what is packed"):
        packed.read_bytes(path)


def test_zip_of_several_files_or_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "day.zip"
    for names in ([], ["a.csv", "b.csv"]):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "1,2")
        with pytest.raises(FormatError, match=f"zip: expected one file, got {len(names)}"):
            packed.read_bytes(path)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("day.csv.gz", b"plain,text\n", "gzip stream, byte 0: expected its first bytes, got 70 6c 61 69 6e 2c"),
        ("day.csv.xz", bz2.compress(b"x"), "xz stream, byte 0"),
        ("day.csv.gz", gzip.compress(b"x", mtime=0) + b"after", "gzip stream, bytes 0 to 26"),
        ("day.csv.gz", b"", "gzip stream: expected whole, got the end of the file at byte 0"),
        ("day.csv.zip", b"PK\x03\x04", "zip, byte"),
    ],
)
def test_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(FormatError, match=message):
        packed.read_bytes(path)


def test_absent_file_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"No such file"):
        packed.read_bytes(tmp_path / "absent.csv.gz")


def test_raw_deflate_is_no_gzip(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_bytes(zlib.compress(b"x" * 100))
    assert packed.read_bytes(path) == zlib.compress(b"x" * 100)


@pytest.mark.parametrize("ending", packed.ENDINGS)
def test_recording_is_the_same_however_it_is_packed(tmp_path: Path, ending: str) -> None:
    header = "action_date,action_time,bid_price_1,bid_qty_1,ask_price_1,ask_qty_1,volume,turn_over"
    text = header + "\n20210104,93000000,100.0,5,101.0,5,0,0\n"
    (tmp_path / f"IF2101_20210104.csv{ending}").write_bytes(PACKERS[ending](text.encode()))
    (day,) = read_recordings(tmp_path)
    assert day.events["bid_ticks"].tolist() == [500]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["feed.pcap", "AAPL_2012-06-21_34200000_57600000_message_10.csv"])
def test_pipe_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(UsageError, match="got a pipe or a device"):
        read_recordings(tmp_path / name)
    with pytest.raises(UsageError, match="got a pipe or a device"):
        read_recordings(tmp_path)


def test_file_that_is_there_packed_too_is_read_once(tmp_path: Path) -> None:
    names = ["a.csv.gz", "a.csv", "b.csv.xz", "b.csv.zst", "c.csv"]
    found = packed.once(tmp_path / name for name in names)
    assert [path.name for path in found] == ["a.csv", "b.csv.xz", "c.csv"]
