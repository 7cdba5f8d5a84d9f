"""The serving tier under load, part by part; see docs/serving-speed.md for what each goal is and why.

Servers and load have a core each, the first and the last that this process may use. Everything that is compared is
measured in turn, in the same run; a figure is the median of the rounds, the spread that of the rounds' ratios.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.serve_rest import Setting, door_rows, installed, peer_rows
from benchmarks.serve_soak import DECISIONS, cost_rows, soak_rows
from benchmarks.serve_swaps import shadow_rows, swap_rows
from benchmarks.serve_ticks import tick_rows
from data_contracts.errors import MissingDependencyError, UsageError
from ringcraft.terminal import err

PLOT: Final = Path("build") / "bench" / "serve.png"
_REALTIME_S_MAX: Final = 0.8
Part = Callable[[Setting, Mapping[str, Any]], list[dict[str, Any]]]


def _peers(setting: Setting, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    there, absent = installed(options["peers"])
    for peer in absent:
        err.print(f"{peer.title}: not installed, so not measured; `make bench-peers` installs it")
    return peer_rows(setting, there, tell=err.print)


PARTS: Final[dict[str, Part]] = {
    "door": lambda setting, _: door_rows(setting),
    "peers": _peers,
    "swaps": lambda setting, _: swap_rows(setting),
    "shadow": lambda setting, _: shadow_rows(setting),
    "ticks": lambda setting, _: tick_rows(setting),
    "soak": lambda setting, options: soak_rows(setting, options["decisions"]),
    "cost": lambda setting, _: cost_rows(setting),
}


def run(
    *,
    parts: Sequence[str] = (),
    peers: Sequence[str] = (),
    seconds: float | None = None,
    connections: int = 16,
    realtime: bool = False,
    decisions: int = DECISIONS,
) -> list[dict[str, Any]]:
    """Measure the parts that are named, or all; draw what has a goal.

    Args:
        parts: of PARTS.
        peers: other people's servers, by name; none: all that are installed.
        seconds: of each load; None: 2, or half of one in real time.
        connections: kept alive, where not one alone is measured.
        realtime: servers and load go before whatever else the machine runs.
        decisions: of the soak.

    Raises:
        MissingDependencyError: there are not two cores.
        UsageError: loads too long for real time.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise MissingDependencyError("bench serve: expected two cores, one for servers and one for load, got one")
    if realtime and seconds is not None and seconds > _REALTIME_S_MAX:
        # The kernel takes what runs in real time off a core for a twentieth of a second in every one that it fills.
        raise UsageError(f"--seconds: expected at most {_REALTIME_S_MAX} with --realtime, got {seconds:g}")
    seconds = seconds or (0.5 if realtime else 2.0)
    setting = Setting(seconds, connections, tuple(cores), realtime)
    rows: list[dict[str, Any]] = []
    for part in parts or PARTS:
        rows += PARTS[part](setting, {"peers": peers, "decisions": decisions})
    _plot(rows)
    return rows


def _plot(rows: Sequence[dict[str, Any]]) -> None:
    """Draw by how much each goal is beaten or missed, with the spread."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [row for row in rows if row.get("goal")]
    if not shown:
        return
    figure = Figure(figsize=(9, 0.55 * len(shown) + 1.2), layout="constrained")
    axes = FigureCanvasAgg(figure).figure.add_subplot()
    times = np.array([[row[key] / row["goal"] for key in ("ratio", "low", "high")] for row in shown])
    places = np.arange(len(shown))[::-1]
    spread = np.abs(times[:, 1:] - times[:, :1]).T
    colours = ["#4477aa" if row["met"] else "#cc6677" for row in shown]
    axes.barh(places, times[:, 0], xerr=spread, color=colours, ecolor="#222222", height=0.6)
    axes.set_yticks(places, [f"{row['name']}\nagainst {row['peer_name']}" for row in shown], fontsize=7)
    axes.axvline(1, color="#222222", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("times what the goal asks for; whiskers: worst and best round")
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, dpi=120)
