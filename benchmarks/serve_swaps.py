"""What a change of versions, and a shadow, cost the champion: an open loop at half the door's rate, in turn with it.

A change is the worker's whole part of one: files verified, the graph built, its golden vectors answered, warmed, then
routed to; the next begins at once. The threads that do so share the decision thread's core where there are but two.
"""

import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from benchmarks.report import held_to, ratio
from benchmarks.serve_load import Load, answer_of
from benchmarks.serve_rest import Setting, failures
from benchmarks.serve_tier import KINDS, BenchTier

SWAP_GOAL: Final = 1 / 1.2
SHADOW_GOAL: Final = 1 / 1.02
ROUNDS: Final = 5
SHADOW_ROUNDS: Final = 11
_KIND: Final = KINDS[0].name
_OTHERS: Final = {kind.name: (0, 1) for kind in KINDS[1:]}
_COUNTED_S: Final = 1.5  # a worker tells its counters once a second


class Swapping:
    """Has a worker take up one version after the other, in a thread, while the context is open."""

    def __init__(self, tier: BenchTier) -> None:
        """Begin with the version that the tier was entered with."""
        self.newest = 1
        self._tier, self._stopped = tier, threading.Event()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        assert self._thread is not None
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._swap()
        except BaseException as error:  # raised where the context ends
            self._error = error

    def _swap(self) -> None:
        old, new = self.newest, self.newest + 1
        held = {kind: {slot: version} for kind, (slot, version) in _OTHERS.items()}
        self._tier.hold(held | {_KIND: {_slot(old): old, _slot(new): new}}, wait=True)
        self._tier.route(_OTHERS | {_KIND: (_slot(new), new)})
        self.newest = new


def _slot(version: int) -> int:
    return (version - 1) % 2


def swap_rows(setting: Setting) -> list[dict[str, Any]]:
    """Return p99 while versions are taken up against before, and what failed or was late meanwhile."""
    with _tier(setting) as tier:
        door = tier.target(_KIND)
        half = _half(setting, tier)
        swapping = Swapping(tier)
        late_before = tier.counter("late", after_s=_COUNTED_S)
        pairs: list[tuple[Load, Load]] = []
        for _ in range(ROUNDS):
            quiet = setting.load(door, per_second=half)
            with swapping:
                pairs.append((setting.load(door, per_second=half), quiet))
        swaps = swapping.newest - 1
        said = f'"model_version":"{swapping.newest}"'.encode()
        assert said in answer_of(door), "the newest version does not answer"
        late = tier.counter("late", after_s=_COUNTED_S) - late_before
    name = f"dense at {half:,.0f}/s, {swaps} versions taken up"
    p99s = [(swapped.quantile_us(0.99), quiet.quantile_us(0.99)) for swapped, quiet in pairs]
    row = ratio(f"{name}: p99", p99s, peer_name="before", unit="us p99", smaller_wins=True)
    loads = [swapped for swapped, _ in pairs]
    return [held_to(row, SWAP_GOAL), failures(name, loads), failures(f"{name}: past their budget of 1 ms", loads, late)]


def shadow_rows(setting: Setting) -> list[dict[str, Any]]:
    """Return the champion's p99 with a shadow against without, the same version held ready in both."""
    with _tier(setting) as tier:
        door = tier.target(_KIND)
        held = {kind: {slot: version} for kind, (slot, version) in _OTHERS.items()}
        tier.hold(held | {_KIND: {0: 1, 1: 2}}, wait=True)
        half = _half(setting, tier)
        champions = _OTHERS | {_KIND: (0, 1)}
        pairs: list[tuple[Load, Load]] = []
        for _ in range(SHADOW_ROUNDS):
            tier.route(champions)
            alone = setting.load(door, per_second=half)
            tier.route(champions, {_KIND: (1, 2)})
            pairs.append((setting.load(door, per_second=half), alone))
        scored, expected = (tier.counter(f"shadows_{what}", after_s=_COUNTED_S) for what in ("scored", "expected"))
    name = f"dense at {half:,.0f}/s, a shadow beside it ({scored:,} of {expected:,} scored)"
    p99s = [(beside.quantile_us(0.99), alone.quantile_us(0.99)) for beside, alone in pairs]
    row = ratio(f"{name}: p99", p99s, peer_name="without", unit="us p99", smaller_wins=True)
    return [held_to(row, SHADOW_GOAL), failures(name, [beside for beside, _ in pairs])]


@contextmanager
def _tier(setting: Setting) -> Iterator[BenchTier]:
    with (
        tempfile.TemporaryDirectory(prefix="ringcraft-bench-") as scratch,
        BenchTier(Path(scratch) / "tier", cores=setting.server_cores) as tier,
    ):
        yield tier


def _half(setting: Setting, tier: BenchTier) -> float:
    door = tier.target(_KIND)
    return statistics.median(setting.load(door).per_second for _ in range(3)) / 2
