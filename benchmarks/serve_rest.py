"""The REST door against a bare echo of the same bytes, and against servers that others wrote; same cores, in turn.

A row's time and rate are by the server's own processor time, which other work on the machine does not take: requests
a second of a core are those that a core of its own would answer. Latencies are what a client saw.
"""

import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.report import held_to, percentile_row, ratio
from benchmarks.serve_load import Load, Target, answer_of, halted, load, on_core
from benchmarks.serve_servers import PEER_SERVERS, Peer, echo_server, peer_server, python_of
from benchmarks.serve_tier import KINDS, BenchTier

CPU_GOAL_US: Final = 8.0
FRAMEWORKS_GOAL: Final = 80.0
BY_HAND_GOAL: Final = 8.0
P50_GOAL: Final = 1 / 1.3
ROUNDS: Final = 5


class Setting(NamedTuple):
    """How everything here is measured."""

    seconds: float
    """Each load."""
    connections: int
    cores: tuple[int, ...]
    """The first is the servers', the last the load's; what is between a worker may use where that is not the point."""
    realtime: bool
    """Servers and load go before whatever else the machine runs."""

    @property
    def server_core(self) -> int:
        """Of every server that is compared with another."""
        return self.cores[0]

    @property
    def server_cores(self) -> tuple[int, ...]:
        """All but the load's."""
        return self.cores[:-1]

    def load(self, target: Target, *, connections: int | None = None, per_second: float = 0.0) -> Load:
        """Load a server as set, or on other connections, or at a beat."""
        with on_core(self.cores[-1], first=target.pids() if self.realtime else None):
            count = self.connections if connections is None else connections
            return load(target, connections=count, seconds=self.seconds, per_second=per_second)


@contextmanager
def ours(setting: Setting, folder: Path, *, busy_poll: bool = False) -> Iterator[dict[str, Target]]:
    """Run a worker; give what to ask it, by kind of model."""
    with BenchTier(folder, cores=(setting.server_core,), busy_poll=busy_poll) as tier:
        yield {kind.name: tier.target(kind.name) for kind in KINDS}


def door_rows(setting: Setting, *, ways: Sequence[bool] = (False, True)) -> list[dict[str, Any]]:
    """Return processor time a request, against the goal and the echo's, p50 at one connection, p99 at half load.

    Args:
        setting: of all.
        ways: whether both servers spin; p50 alone is measured where they do.
    """
    rows: list[dict[str, Any]] = []
    for busy in ways:
        with tempfile.TemporaryDirectory(prefix="ringcraft-bench-") as scratch, ExitStack() as servers:
            folder = Path(scratch)
            for kind, door in servers.enter_context(ours(setting, folder / "tier", busy_poll=busy)).items():
                answer = answer_of(door)
                with ExitStack() as held:
                    # Stopped while the echo starts: on one core, whoever spins leaves nothing to who does not yet.
                    with halted(door):
                        started = echo_server(
                            door.request, answer, folder / f"echo-{kind}", core=setting.server_core, spin=busy
                        )
                        echo = held.enter_context(started)
                    rows += _spinning(setting, kind, door, echo) if busy else _sleeping(setting, kind, door, echo)
    return rows


def _sleeping(setting: Setting, kind: str, door: Target, echo: Target) -> list[dict[str, Any]]:
    pairs = _taken(setting, door, echo)
    spent_us = [mine.cpu_us for mine, _ in pairs]
    half = statistics.median(mine.per_second for mine, _ in pairs) / 2
    name = f"{kind}, {setting.connections} connections"
    return [
        held_to(percentile_row(f"{name}: CPU a request", spent_us, goal=CPU_GOAL_US, unit="us"), 1.0),
        _compared(f"{name}: CPU a request", pairs, "us", lambda one: one.cpu_us),
        held_to(_p50(setting, f"{kind}, sleeping", door, echo), P50_GOAL),
        _compared(
            f"{kind}: p99 at {half:,.0f}/s, open loop",
            _taken(setting, door, echo, per_second=half),
            "us p99",
            lambda one: one.quantile_us(0.99),
        ),
        failures(name, [mine for mine, _ in pairs]),
    ]


def _spinning(setting: Setting, kind: str, door: Target, echo: Target) -> list[dict[str, Any]]:
    return [held_to(_p50(setting, f"{kind}, spinning", door, echo), P50_GOAL)]


def _p50(setting: Setting, name: str, door: Target, echo: Target) -> dict[str, Any]:
    pairs = _taken(setting, door, echo, connections=1)
    return _compared(f"{name}: one connection", pairs, "us p50", lambda one: one.quantile_us(0.5))


def _taken(
    setting: Setting, door: Target, peer: Target, *, connections: int | None = None, per_second: float = 0.0
) -> list[tuple[Load, Load]]:
    def alone(one: Target, other: Target) -> Load:
        with halted(other):
            return setting.load(one, connections=connections, per_second=per_second)

    alone(door, peer), alone(peer, door)  # warm-up, not counted
    return [(alone(door, peer), alone(peer, door)) for _ in range(ROUNDS)]


def _compared(
    name: str, pairs: Sequence[tuple[Load, Load]], unit: str, figure: Callable[[Load], float]
) -> dict[str, Any]:
    figures = [(figure(mine), figure(other)) for mine, other in pairs]
    return ratio(name, figures, peer_name="bare echo of the same bytes", unit=unit, smaller_wins=True)


def failures(name: str, loads: Sequence[Load], count: int | None = None) -> dict[str, Any]:
    """Return a row that no request failed; or, of another `count`, that there was none."""
    failed = sum(one.failed for one in loads)
    asked = sum(len(one.latencies_us) for one in loads) + failed
    found = failed if count is None else count
    ratios = dict.fromkeys(("ratio", "low", "high"), 1.0 if found == 0 else 0.0)
    about = {"name": f"{name}: {'failed ' if count is None else ''}of {asked:,}", "unit": "requests"}
    return about | {"ours": found, "peer": 0, "peer_name": "the goal", "goal": 0, "met": found == 0} | ratios


def installed(wanted: Sequence[str] = ()) -> tuple[list[Peer], list[Peer]]:
    """Return the peers that are wanted and there, and those that are wanted and not; none named: all are wanted."""
    peers = [peer for peer in PEER_SERVERS if not wanted or peer.name in wanted]
    there = [peer for peer in peers if python_of(peer).exists()]
    return there, [peer for peer in peers if peer not in there]


def peer_rows(setting: Setting, peers: Sequence[Peer], *, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return requests a second of a core against each peer that starts.

    Args:
        setting: of all.
        peers: installed ones.
        tell: told of each that does not come to answer.
    """
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="ringcraft-bench-") as scratch:
        folder = Path(scratch)
        with ours(setting, folder / "tier") as doors:
            model = folder / "tier" / "dense" / "model.onnx"
            for peer in peers:
                try:
                    with peer_server(peer, model, folder / peer.name, core=setting.server_core) as server:
                        rows[peer.name] = _against(setting, peer, doors["dense"], server)
                except TimeoutError as error:
                    tell(str(error))
    return [*rows.values(), *_fastest(rows)]


def _against(setting: Setting, peer: Peer, door: Target, server: Target) -> dict[str, Any]:
    pairs = _taken(setting, door, server)
    rates = [(mine.per_core_second, other.per_core_second) for mine, other in pairs]
    name = f"dense, {setting.connections} connections"
    row = ratio(name, rates, peer_name=peer.title, unit="requests/s of a core", smaller_wins=False)
    walls = {
        "per_second": [mine.per_second for mine, _ in pairs],
        "peer_per_second": [one.per_second for _, one in pairs],
    }
    row |= {key: statistics.median(values) for key, values in walls.items()}
    row["peer_p50_us"] = statistics.median(other.quantile_us(0.5) for _, other in pairs)
    return row if peer.framework else held_to(row, BY_HAND_GOAL)


def _fastest(rows: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the row of the framework that comes nearest, held to the goal; none where there is none."""
    frameworks = [rows[peer.name] for peer in PEER_SERVERS if peer.framework and peer.name in rows]
    if not frameworks:
        return []
    nearest = min(frameworks, key=lambda row: row["ratio"])
    about = f"{nearest['name']}: the fastest of {len(frameworks)} frameworks"
    return [held_to(nearest | {"name": about}, FRAMEWORKS_GOAL)]
