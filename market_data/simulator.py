"""A simulated stock with a planted, weak, known edge, written as real ITCH 5.0 bytes.

The book is zero-intelligence: limit orders, market orders and cancellations come as Poisson processes around the
mid (Smith, Farmer, Gillemot & Krishnamurthy 2003). One hidden Ornstein-Uhlenbeck signal makes buyers a little more
eager than sellers, or the other way round; order flow and queues show part of it. What was planted is written beside
the recording, so that what a model found can be held against it.
"""

from datetime import date
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from data_contracts.instrument import Instrument
from market_data.formats.itch50 import Beside, beside_path
from native import _native

INSTRUMENT: Final = Instrument(
    symbol="SIM:RING", tick_size="0.01", lot_size="1", currency="USD", fee_bps=0.1, time_zone="UTC"
)
DATE: Final = date(2026, 1, 5)
"""A Monday; trading starts at 09:30 UTC."""

LONGEST_S: Final = 50_000.0
"""What is left of the day."""


class SimulatorParameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates in 1/s of event time; tilts are exponents per standard deviation of the signal."""

    relaxation_s: float = 10.0
    """Time in which the signal falls to 1/e of itself."""
    market_rate: float = 0.6
    """Market orders of each side."""
    market_tilt: float = 0.6
    limit_rate: float = 1.5
    """Limit orders of each side at one tick from the other side's best."""
    limit_decay: float = 0.6
    """Each tick further, the rate falls to this part."""
    limit_tilt: float = 0.15
    cancel_rate: float = 0.25
    """Cancellations of each resting order."""
    cancel_tilt: float = 0.15
    start_ticks: int = 10_000


class Truth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was planted; beside the recording as `<name>.truth.json`."""

    seed: int
    parameters: SimulatorParameters
    seconds: float
    """Event time simulated."""
    touch_changes: int
    horizon_s: int
    correlation: float
    """Of the signal with the mid's move over the horizon that follows, once a second."""
    signal: tuple[float, ...]
    """At each whole second from the start, in standard deviations."""


def simulate(
    path: Path | str,
    *,
    seed: int,
    seconds: float | None = None,
    events: int | None = None,
    horizon_s: int = 5,
    parameters: SimulatorParameters | None = None,
) -> Truth:
    """Write a recording to `path`, its instrument and its truth beside it; return the truth.

    Same arguments, same bytes.

    Args:
        path: ITCH 5.0 BinaryFILE; its folder must be there.
        seed: 0 or more.
        seconds: event time to simulate; None: until `events`.
        events: changes of the touch to simulate, about 7 a second; None: 80,000 where `seconds` is None too.
        horizon_s: what the truth's correlation looks ahead.
        parameters: of the process; None: those the documentation measures.

    Raises:
        UsageError: a count, time or seed out of bounds, or a path that cannot be written.
    """
    chosen = parameters or SimulatorParameters()
    longest = LONGEST_S if seconds is None else float(seconds)
    most = events if events is not None else 80_000 if seconds is None else 2**62
    if not 0 < longest <= LONGEST_S:
        raise UsageError(f"seconds: expected over 0 and at most {LONGEST_S:g}, got {seconds}")
    if most <= 0 or seed < 0 or horizon_s <= 0:
        raise UsageError(f"expected events and horizon_s over 0 and seed >= 0, got {events}, {horizon_s}, {seed}")
    data, signal, mid_ticks, changes, simulated_s = _native.simulate_itch50(
        seed=seed, seconds=longest, touch_changes=most, **msgspec.structs.asdict(chosen)
    )
    truth = Truth(
        seed=seed,
        parameters=chosen,
        seconds=simulated_s,
        touch_changes=changes,
        horizon_s=horizon_s,
        correlation=_correlation(signal, mid_ticks, horizon_s),
        signal=tuple(np.round(signal, 4).tolist()),
    )
    _write(Path(path), data, truth)
    return truth


def read_truth(path: Path | str) -> Truth:
    """Return the truth beside the recording at `path`.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    beside = _truth_path(Path(path))
    try:
        return msgspec.json.decode(beside.read_bytes(), type=Truth)
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(f"{beside}: {error}") from None


def _truth_path(path: Path) -> Path:
    return path.with_name(path.name + ".truth.json")


def _correlation(signal: NDArray[np.float64], mid_ticks: NDArray[np.float64], horizon_s: int) -> float:
    if len(signal) < horizon_s + 3:
        return 0.0
    moves = mid_ticks[horizon_s:] - mid_ticks[:-horizon_s]
    return float(np.corrcoef(signal[:-horizon_s], moves)[0, 1])


def _write(path: Path, data: bytes, truth: Truth) -> None:
    try:
        path.write_bytes(data)
        beside_path(path).write_bytes(msgspec.json.encode(Beside(instrument=INSTRUMENT, date=DATE)))
        _truth_path(path).write_bytes(msgspec.json.encode(truth))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
