"""Judges the guardrails: how often they take an equal version off, and how long a bad one lasts.

`docs/guardrails.md` says what the goals are and what was measured. Every series is a function of the seed, so the
same seed and the same sizes give the same figures on any number of processes.
"""

import math
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from benchmarks.equal_versions import STREAMS, draw, late_answers
from benchmarks.guardrail_adapter import make_pnl, make_rate

DEPLOYMENTS: Final = 1000
EFFECTS: Final = 300
SEED: Final = 1
EVENTS: Final = 100_000
PNL_RATE, ANSWER_RATE = 0.03, 0.01
"""Error rates: PnL; latency and errors each."""
_CHANGE: Final = 20_000
_SHOWN: Final = 60_000
"""Events of a bad version: three times what the slowest goal allows."""
_MISSED: Final = 1e9


class Check(NamedTuple):
    """One figure against its goal."""

    name: str
    measured: float
    goal: float
    unit: str
    decides: bool = True
    """Whether the goal must be met; time on a busy machine is only reported."""

    @property
    def met(self) -> bool:
        """Whether the figure is within its goal; NaN is not."""
        return self.measured <= self.goal


class Guard(Protocol):
    """What is judged."""

    def update(self, x: float, /) -> bool:
        """Fold one event; return whether the guard has tripped."""
        ...


class Loss(NamedTuple):
    """A version that loses `sd` standard deviations a decision, from the start or from event 20,000 on."""

    stream: str
    sd: float
    late: bool
    median_goal: float
    slowest_goal: float = math.nan
    """Of 95 in 100; NaN: none."""


LOSSES: Final = (
    Loss("reference", 0.05, False, 1.25, 4.0),
    Loss("reference", 0.1, False, 1.5, 4.5),
    Loss("reference", 0.2, False, 2.0, 6.0),
    Loss("normal", 0.1, False, 2.5, 5.0),
    Loss("overlap of 20", 0.1, False, 1.25, 3.5),
    Loss("reference", 0.1, True, 1.25),
    Loss("reference", 0.2, True, 1.5),
    Loss("normal", 0.1, True, 1.75),
)
LATE: Final = ((0.02, 1.6), (0.05, 1.6), (0.2, 2.5))
"""Shares of answers over the budget, and the goals for their delays."""


def judge(
    deployments: int = DEPLOYMENTS,
    effects: int = EFFECTS,
    seed: int = SEED,
    jobs: int | None = None,
    tell: Callable[[Check], None] = lambda _: None,
) -> list[Check]:
    """Return every check, in order.

    Args:
        deployments: of equal versions, over all streams; fewer than 400 fail by chance.
        effects: deployments of each bad version; fewer than 60 fail by chance.
        seed: of every series.
        jobs: processes; None: one per core.
        tell: called with each check as soon as it is known.
    """
    checks: list[Check] = []

    def note(some: Iterable[Check]) -> None:
        for check in some:
            checks.append(check)
            tell(check)

    # Forked: a fresh interpreter would run the caller's main module again. The children touch numpy alone.
    with ProcessPoolExecutor(jobs or os.cpu_count(), mp_context=get_context("fork")) as pool:
        rows = _spread(deployments, len(STREAMS))
        kept = pool.map(partial(false_rollbacks, seed), STREAMS, rows)
        delays = pool.map(partial(loss_delays, seed, effects), LOSSES)
        answers = pool.map(partial(late_delays, seed, effects), [share for share, _ in LATE])
        stalls = pool.submit(false_alarms_in_stalls, seed, max(200, effects))
        note(_false_rollback_checks(sum(kept), deployments))
        for loss, found in zip(LOSSES, delays, strict=True):
            note(_delay_checks(loss, found))
        for (share, goal), found in zip(LATE, answers, strict=True):
            note([Check(f"{share:.0%} of answers late: median delay / bound", float(np.median(found)), goal, "x")])
        name = "stalls of 20 answers, late as often as allowed: taken off"
        note([Check(name, 100.0 * stalls.result(), 2.0, "%")])
    note(_cost_checks(seed))
    return checks


def false_rollbacks(seed: int, stream: str, rows: int) -> int:
    """Return how many of `rows` deployments of equal versions any guardrail takes off."""
    g = np.random.default_rng([seed, *stream.encode(), 0])
    taken = 0
    for series in draw(seed, stream, rows, EVENTS):
        pnl = make_pnl(PNL_RATE, EVENTS, STREAMS[stream].overlap)
        latency, errors = (make_rate(budget, ANSWER_RATE, EVENTS) for budget in (0.01, 0.001))
        trips = (
            first_trip(pnl, series.tolist()),
            first_trip(latency, late_answers(g, EVENTS, 0.01).tolist()),
            first_trip(errors, late_answers(g, EVENTS, 0.001).tolist()),
        )
        taken += any(trip is not None for trip in trips)
    return taken


def loss_delays(seed: int, rows: int, loss: Loss) -> list[float]:
    """Return the delays of `rows` deployments that lose, in multiples of the bound; those taken off before are out.

    The bound is that of Lorden (1971) for a change at an unknown time, and Wald's for one at the start, both for
    normal differences with the stream's long-run variance.
    """
    begins, warm = (_CHANGE, None) if loss.late else (2000, 1000)
    stream = STREAMS[loss.stream]
    information = loss.sd * loss.sd / (2.0 * stream.lrv)
    bound = (math.log(1.0 / PNL_RATE) + (math.log(EVENTS * information) if loss.late else 0.0)) / information
    delays = []
    for series in draw(seed + 1, loss.stream, rows, _SHOWN):
        series[begins:] -= loss.sd
        at = first_trip(make_pnl(PNL_RATE, EVENTS, stream.overlap, warm), series.tolist())
        if at is None or at > begins:
            delays.append(_MISSED if at is None else (at - begins) / bound)
    return delays


def late_delays(seed: int, rows: int, share: float) -> list[float]:
    """Return the delays of `rows` versions of whose answers `share` is late, in multiples of Wald's bound."""
    g = np.random.default_rng([seed, 3, round(share * 1000)])
    bound = math.log(1.0 / ANSWER_RATE) / (
        share * math.log(share / 0.01) + (1.0 - share) * math.log((1.0 - share) / 0.99)
    )
    delays = []
    for _ in range(rows):
        at = first_trip(make_rate(0.01, ANSWER_RATE, EVENTS), late_answers(g, 20_000, share).tolist())
        delays.append(_MISSED if at is None else at / bound)
    return delays


def false_alarms_in_stalls(seed: int, rows: int) -> float:
    """Return the share of versions taken off whose answers are late exactly as often as allowed, in stalls of 20."""
    g = np.random.default_rng([seed, 4])
    trips = (
        first_trip(make_rate(0.01, ANSWER_RATE, EVENTS, 20), late_answers(g, EVENTS, 0.01, 20).tolist())
        for _ in range(rows)
    )
    return sum(trip is not None for trip in trips) / rows


def first_trip(guard: Guard, series: Iterable[float]) -> int | None:
    """Return at which event, from 1, the guard trips; None where it does not."""
    for at, x in enumerate(series, 1):
        if guard.update(x):
            return at
    return None


def upper_limit(hits: int, of: int, confidence: float = 0.975) -> float:
    """Return the upper confidence limit of a rate.

    Source: Clopper & Pearson (1934), Biometrika 26(4).
    """
    low, high = hits / of, 1.0
    for _ in range(60):
        rate = (low + high) / 2.0
        low, high = (rate, high) if _at_most(hits, of, rate) > 1.0 - confidence else (low, rate)
    return high


def _at_most(hits: int, of: int, rate: float) -> float:
    """Return the chance of at most `hits`."""
    if rate >= 1.0:
        return float(hits >= of)
    logs = (
        math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1)
        + k * math.log(rate) + (of - k) * math.log1p(-rate)
        for k in range(hits + 1)
    )  # fmt: skip
    return sum(math.exp(value) for value in logs) if rate > 0.0 else 1.0


def as_row(check: Check) -> dict[str, Any]:
    """Return a check as benchmarks report themselves: the goal is the peer."""
    times = check.goal / check.measured if check.measured else None
    row = {"ours": check.measured, "peer": check.goal, "peer_name": "goal", "unit": check.unit}
    return {
        "name": check.name,
        **row,
        "ratio": times,
        "low": times,
        "high": times,
        "met": check.met,
        "decides": check.decides,
    }


def _spread(total: int, parts: int) -> list[int]:
    return [total // parts + (i < total % parts) for i in range(parts)]


def _false_rollback_checks(taken: int, of: int) -> list[Check]:
    name = f"equal versions taken off, {of} deployments of {EVENTS:,} decisions"
    return [
        Check(name, 100.0 * taken / of, 5.0, "%"),
        Check("  97.5 % upper limit", 100.0 * upper_limit(taken, of), 6.5, "%"),
    ]


def _delay_checks(loss: Loss, delays: list[float]) -> list[Check]:
    begins = f"from decision {_CHANGE:,} on" if loss.late else "from the start"
    name = f"loss of {loss.sd:g} sd {begins}, {loss.stream}: median delay / bound"
    checks = [Check(name, float(np.median(delays)), loss.median_goal, "x")]
    if loss.slowest_goal == loss.slowest_goal:
        checks.append(Check("  95 of 100 within", float(np.quantile(delays, 0.95)), loss.slowest_goal, "x"))
    return checks


def _cost_checks(seed: int) -> list[Check]:
    values = draw(seed, "reference", 1, EVENTS)[0].tolist()
    guard, times = make_pnl(1e-9, EVENTS, 1), []
    for value in values:
        start = time.perf_counter_ns()
        guard.update(value)
        times.append(time.perf_counter_ns() - start)
    return [
        Check("cost of a decision, timer included: mean", float(np.mean(times)) / 1e3, 2.0, "us", decides=False),
        Check("  99.9 % within", float(np.quantile(times, 0.999)) / 1e3, 20.0, "us", decides=False),
    ]
