"""The named tapes, for tests and demonstrations."""

from pathlib import Path
from typing import Final

import msgspec

from data_contracts.errors import UsageError
from market_data.tapes.model import (
    Change,
    Duplicates,
    Flow,
    Gap,
    Halt,
    Hold,
    Notice,
    Overlap,
    Reorder,
    Skew,
    Tape,
)

_NAMED: Final = (
    Tape(
        name="calm",
        about="nothing happens",
        flow=Flow(market_rate=0.7, volatility_ticks=0.4),
    ),
    Tape(
        name="trending",
        about="the price rises by half a tick a second",
        what=(Change(start_s=0, drift_ticks_per_s=0.5),),
    ),
    Tape(
        name="flash-crash",
        about="3 % down in ten seconds with the bids withdrawn, most of it back within a minute",
        what=(
            Change(start_s=120, end_s=130, drift_ticks_per_s=-30, buys=0.3, sells=20, bids=0.5, cancel=2, volatility=3),
            Change(start_s=130, end_s=190, drift_ticks_per_s=4.5, buys=3, market=1.5, volatility=1.5),
        ),
    ),
    Tape(
        name="halt-and-reopen",
        about="a fall, a halt, an auction with indications, a cross, trading again",
        what=(
            Change(start_s=115, end_s=120, drift_ticks_per_s=-20, sells=5, bids=0.5),
            Halt(start_s=120, quote_s=180, end_s=210),
        ),
    ),
    Tape(
        name="ten-fold-burst",
        about="ten times the messages for half a minute",
        what=(Change(start_s=120, end_s=150, market=10, limit=10, cancel=10),),
    ),
    Tape(
        name="feed-gap",
        about="line A loses messages, both lose some that a retransmission has, both lose some for good",
        what=(
            Gap(start_s=60, messages=40, lines="A"),
            Gap(start_s=120, messages=50, answered=True),
            Gap(start_s=200, messages=60),
        ),
    ),
    Tape(
        name="duplicated-and-reordered",
        about="a fifth of the packets comes twice, a fifth late, on both lines",
        what=(Duplicates(start_s=60, end_s=240, share=0.2), Reorder(start_s=60, end_s=240, share=0.2)),
    ),
    Tape(
        name="crossed-and-locked",
        about="bids that stand at the ask or above it without trading, a quarter of a second each",
        what=tuple(Overlap(start_s=20.0 * i, end_s=20.0 * i + 0.25, ticks=2 * (i % 2)) for i in range(1, 15)),
    ),
    Tape(
        name="stale-feed",
        about="packets stuck for half a minute, later a venue that is silent for as long",
        what=(Hold(start_s=90, end_s=120), Change(start_s=200, end_s=230, market=0, limit=0, cancel=0)),
    ),
    Tape(
        name="clock-skew",
        about="the recorder's clock 2.5 ms behind the venue's and gaining 50 µs a second",
        what=(Skew(start_s=60, ahead_us=-2_500, ppm=50),),
    ),
    Tape(
        name="regime-change",
        about="at a known event trading doubles, volatility trebles, and the signal means the opposite",
        what=(Notice(start_s=150), Change(start_s=150, market=2, cancel=1.5, volatility=3, edge=-1)),
    ),
    Tape(
        name="thin-night",
        about="extended hours: a message every second, a wide and shallow book",
        seconds=1_800,
        start_s=68_400,
        flow=Flow(activity=0.03, limit_decay=0.85, cancel_rate=0.8, volatility_ticks=0.3, edge_ticks_per_s=0.05),
    ),
)

TAPES: Final = {tape.name: tape for tape in _NAMED}


def find_tape(name: str) -> Tape:
    """Return a named tape, or the one that a TOML file describes.

    Raises:
        UsageError: neither is there, or the file does not describe a tape.
    """
    if name in TAPES:
        return TAPES[name]
    path = Path(name)
    if path.suffix != ".toml":
        raise UsageError(f"--tape: expected {', '.join(TAPES)} or a TOML file, got {name}")
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Tape, strict=False)
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(f"{path}: expected a tape: {error}") from None
