"""What is true of a simulated tape, written beside it: nothing that learns or serves reads it."""

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from market_data.tapes.model import Change, Flow, Halt, Intervention, Tape


class Edge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the signal is worth, in ticks per standard deviation of it."""

    horizon_s: float
    planted_ticks: float
    """Expected move of the efficient price over the horizon, by the formula."""
    measured_ticks: float
    """Slope of the mid's move on the signal on this tape, where no change or halt is near; 0 on too short a tape."""
    standard_error_ticks: float
    """Of the slope, over moves that do not overlap."""
    correlation: float


class Injected(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One intervention, and where it is in the bytes."""

    what: Intervention
    start_ns: int
    """Event time, UTC."""
    end_ns: int
    first_message: int
    """Numbers from 1, as in MoldUDP64 and in the order of a BinaryFILE: of the first message at or after the start, or
    of the first that a fault struck; 0: none."""
    last_message: int
    messages: int
    """From the first to the last; of a fault those that it struck."""
    packets: int = 0
    """That a fault struck, of both lines together."""


class ChangePoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A moment from which on the order flow is another for good."""

    event_ns: int
    first_message: int


class Stock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stock's hidden side."""

    symbol: str
    locate: int
    edge: Edge
    arrivals: int
    """Market and limit orders and cancellations that took place."""
    excited: int
    """Those of them that earlier ones excited."""
    signal: tuple[float, ...]
    """At each whole second from the start, in standard deviations."""
    efficient_ticks: tuple[float, ...]
    """At the same instants."""


class Packets(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the capture holds, of lines A and B."""

    recorded: tuple[int, int]
    """Packets with messages in them."""
    overtaken: tuple[int, int]
    """Packets that came after one with higher numbers on the same line."""
    heartbeats: int
    recorded_messages: int
    """As often as they were."""
    lost: tuple[tuple[int, int], ...]
    """First number and count of messages that came on neither line."""


class TapeTruth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Beside the recording as `<name>.truth.json`."""

    tape: Tape
    seed: int
    format: str
    start_ns: int
    """Event time of the start, UTC."""
    seconds: float
    messages: int
    by_type: dict[str, int]
    branching_ratio: float
    injected: tuple[Injected, ...]
    change_points: tuple[ChangePoint, ...]
    stocks: tuple[Stock, ...]
    packets: Packets | None
    sha256: str
    """Of the recording's bytes."""


def planted_ticks(flow: Flow, horizon_s: float) -> float:
    """Return the efficient price's expected move over the horizon, in ticks per standard deviation of the signal.

    Source: the conditional mean of an integrated Ornstein-Uhlenbeck process, Uhlenbeck & Ornstein (1930), Physical
    Review 36: the integral of exp(-s / relaxation_s) from 0 to horizon_s, times edge_ticks_per_s.
    """
    return flow.edge_ticks_per_s * flow.relaxation_s * -math.expm1(-horizon_s / flow.relaxation_s)


def measure_edge(tape: Tape, samples: NDArray[np.float64], horizon_s: int) -> Edge:
    """Return the edge as planted and as the mid shows it.

    Args:
        tape: what was simulated.
        samples: shape (n, 3), a row a second: signal, efficient price and mid, the prices in ticks.
        horizon_s: whole seconds.
    """
    start = np.arange(0, len(samples) - horizon_s, horizon_s)
    undisturbed = np.ones(len(start), dtype=bool)
    for each in tape.what:
        if _disturbs(each):
            end_s = getattr(each, "end_s", None) or math.inf
            undisturbed &= (start + horizon_s <= each.start_s) | (start >= end_s + horizon_s)
    start = start[undisturbed]
    signal, move = samples[start, 0], samples[start + horizon_s, 2] - samples[start, 2]
    planted = planted_ticks(tape.flow, horizon_s)
    if len(start) < 10 or not np.std(signal) > 0 or not np.std(move) > 0:
        return Edge(
            horizon_s=horizon_s, planted_ticks=planted, measured_ticks=0.0, standard_error_ticks=0.0, correlation=0.0
        )
    centred = signal - signal.mean()
    slope = float(centred @ move / (centred @ centred))
    residual = move - move.mean() - slope * centred
    return Edge(
        horizon_s=horizon_s,
        planted_ticks=planted,
        measured_ticks=slope,
        standard_error_ticks=math.sqrt(float(residual @ residual) / (len(start) - 2) / float(centred @ centred)),
        correlation=float(np.corrcoef(signal, move)[0, 1]),
    )


def _disturbs(each: Intervention) -> bool:
    """Whether the mid may move with the signal in another way; a steady drift alone leaves the slope as it is."""
    if isinstance(each, Change):
        steady = msgspec.structs.replace(each, drift_ticks_per_s=0.0)
        return steady != Change(start_s=each.start_s, end_s=each.end_s) or each.end_s is not None
    return isinstance(each, Halt)


def truth_path(path: Path) -> Path:
    """Return where the truth of the recording at `path` lies."""
    return path.with_name(path.name + ".truth.json")


def read_tape_truth(path: Path | str) -> TapeTruth:
    """Return the truth beside the recording at `path`.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    beside = truth_path(Path(path))
    try:
        return msgspec.json.decode(beside.read_bytes(), type=TapeTruth)
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(f"{beside}: {error}") from None


def packets_truth(about: Any) -> Packets:  # noqa: ANN401  typed in native/_native.pyi
    """Return the packets' truth of a native summary."""
    return Packets(
        recorded=tuple(about["packets"]),
        overtaken=tuple(about["overtaken"]),
        heartbeats=about["heartbeats"],
        recorded_messages=about["recorded_messages"],
        lost=tuple((first, count) for first, count in about["lost"]),
    )
