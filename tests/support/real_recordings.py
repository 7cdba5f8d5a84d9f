"""All real recordings that the platform reads, by name: those that every run of the tests can afford, and the whole."""

import gzip
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_contracts.market_event import EventFlag
from data_contracts.recording import Recording
from market_data.merging import read_many
from market_data.reading import read_recordings

FX = "fx-gold-ticks-201405"
BINANCE = "binance-ws-20240808"

FEW = {
    "cffex": ("cffex-if-ticks-202101/IF2101_20210104.csv.gz", None),
    "gold": (f"{FX}/oanda_xauusd/20140504_quote.zip", None),
    "euro-fxcm": (f"{FX}/fxcm_eurusd/20140504_quote.zip", None),
    "euro-oanda": (f"{FX}/oanda_eurusd/20140504_quote.zip", None),
    "lobster": ("lobster-aapl-l10-head", None),
    "shanghai": ("sse-l3-20230711", "601825.SH"),
    "kraken": ("crypto-ws-captures-2021/KRAKEN.ws.50.0.gz", "XMR/USD"),
    "es-futures": ("cme-es-mbo-20231225/esh4-glbx-mdp3-20231225.mbo.dbn.zst", None),
    "taq": ("us-taq-xxx-2018", None),
}
"""What is read in a second or so: path and instrument."""

WHOLE = (
    "cffex-if-ticks-202101",
    f"{FX}/oanda_xauusd",
    f"{FX}/oanda_eurusd",
    f"{FX}/fxcm_eurusd",
    "lobster-aapl-l10-head",
    "sse-l3-20230711",
    BINANCE,
    "crypto-ws-captures-2021/KRAKEN.ws.50.0.gz",
    "cme-es-mbo-20231225",
    "us-taq-xxx-2018",
)
"""Every file of every format of the platform's; each of the maps' and of the documented class comes on top."""

DOCS = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()


def few(test_data: Path, folder: Path) -> dict[str, Recording]:
    """Return one recording of each kind; `folder` takes the beginning of one that is long to read."""
    found = {}
    for name, (path, instrument) in FEW.items():
        found[name] = read_recordings(test_data / path, instrument=instrument, depth=True)[0]
    head = folder / "spot_btcusdt_20240808.gz"
    with gzip.open(test_data / BINANCE / head.name, "rt") as lines, gzip.open(head, "wt") as kept:
        kept.writelines(itertools.islice(lines, 4_000))
    (found["binance"],) = read_recordings(head, depth=True)
    found["shenzhen"] = shenzhen(test_data, folder, "300274.SZ")[0]
    return found


def shenzhen(test_data: Path, folder: Path, instrument: str = "all") -> tuple[Recording, ...]:
    """Return Shenzhen's snapshots, read through the column map of the docs."""
    return read_many(
        [test_data / "szse-l2-snapshots-20220601" / "tick.zip"],
        format=f"csv={_map(folder, 0)}",
        instruments=[instrument],
        depth=True,
    )


def bars(test_data: Path, folder: Path) -> tuple[Recording, ...]:
    """Return two venues' hourly bars, each of which begins a session: sums hold one event."""
    said = _map(folder, 1)
    euro = read_recordings(test_data / "long-bars" / "fxcm_eurusd_hour.zip", format=f"csv={said}")
    said.write_text(
        said.read_text().replace("FXCM:EURUSD", "OANDA:XAUUSD").replace("0.00001", "0.001").replace("GMT+5", "UTC")
    )
    return euro + read_recordings(test_data / "long-bars" / "oanda_xauusd_hour.zip", format=f"csv={said}")


def bitstamp(test_data: Path) -> Recording:
    """Return Bitstamp's log as the documented class of one's own reads it, trusted although it began without a book."""
    namespace: dict[str, type] = {}
    exec(DOCS.split("```python\n")[1].partition("```")[0], namespace)
    (day,) = namespace["BitstampLog"]().read(test_data / "bitstamp-l3-20150501" / "2015-05-01.log.xz", None)
    events = day.events.copy()
    events["flags"] &= ~np.uint16(EventFlag.GAP)
    return replace(day, events=events)


def every(test_data: Path, folder: Path) -> Iterator[Recording]:
    """Yield every recording of every instrument."""
    for path in WHOLE:
        yield from read_many([test_data / path], instruments=["all"], depth=True)
    yield from shenzhen(test_data, folder)
    yield from bars(test_data, folder)
    yield bitstamp(test_data)


def _map(folder: Path, number: int) -> Path:
    path = folder / f"map-{number}.toml"
    path.write_text(DOCS.split("```toml\n")[number + 1].partition("```")[0])
    return path
