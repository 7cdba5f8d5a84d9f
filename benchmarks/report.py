"""The document every benchmark returns, and how its spread is taken."""

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def machine() -> str:
    """Return processor and core count, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def paired(ours: Callable[[], float], peer: Callable[[], float], runs: int) -> list[tuple[float, float]]:
    """Return (ours, peer) of each run, taken in turn so that a machine that drifts drifts for both."""
    ours(), peer()  # warm-up, not counted
    return [(ours(), peer()) for _ in range(runs)]


def ratio(
    name: str, pairs: Sequence[tuple[float, float]], *, peer_name: str, unit: str, smaller_wins: bool
) -> dict[str, Any]:
    """Return one row: medians, and by how much ours is better, with the smallest and largest pair."""
    times = [(peer / ours) if smaller_wins else (ours / peer) for ours, peer in pairs]
    return {
        "name": name,
        "ours": statistics.median(ours for ours, _ in pairs),
        "peer": statistics.median(peer for _, peer in pairs),
        "peer_name": peer_name,
        "unit": unit,
        "ratio": statistics.median(times),
        "low": min(times),
        "high": max(times),
    }


def percentile_row(name: str, ours: Sequence[float], *, goal: float, unit: str) -> dict[str, Any]:
    """Return one row of something that has no peer: the median against a goal, smaller winning."""
    return {
        "name": name,
        "ours": statistics.median(ours),
        "peer": goal,
        "peer_name": "the goal",
        "unit": unit,
        "ratio": goal / statistics.median(ours),
        "low": goal / max(ours),
        "high": goal / min(ours),
    }


def held_to(row: dict[str, Any], times: float) -> dict[str, Any]:
    """Return the row with its goal: to be better than its peer by this factor, below 1 to be worse by no more."""
    return row | {"goal": times, "met": bool(row["ratio"] >= times)}  # asked as met, so that NaN fails
