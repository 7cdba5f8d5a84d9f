"""What must be shown, experiment by experiment: each returns one row with what was measured and the goal."""

import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.rollouts import graphs
from benchmarks.rollouts.feed import EDGE_SD
from benchmarks.rollouts.reading import Judged, challenger_decisions_after_trips, judge, scale
from benchmarks.rollouts.tier import MODEL, LiveTier
from serving.controller.book import Entry

ALPHA: Final = 0.03
"""The PnL guard's error rate, to which the bound belongs."""
SLOW_DECISIONS_MAX: Final = 180
KEPT_MIN: Final = 0.95
Row = dict[str, Any]
OnSeed = Callable[[int], None]

# Stalls of a busy machine are no experiment's subject but one's: a budget of 50 ms keeps them out. The feed runs
# hundreds of times faster than its own clock, so the watermark is as long as seconds of ours are there.
POLICY: Final = """
[rollout]
on_success = "wait"
max_decisions = {max_decisions}
{steps}
[guardrails.latency]
budget_us = {budget_us}
[outcomes]
watermark_seconds = 600.0
[limits]
loss_budget_bps = {loss_budget_bps}
"""
_STEP: Final = "[[rollout.steps]]\nshare = {share}\nmin_decisions = {decisions}\n"
SHADOW_ONLY: Final = ((0.0, 1_000_000),)
AB: Final = ((0.0, 1), (0.5, 1_000_000))
CLIMB: Final = ((0.0, 2000), (0.1, 2000), (0.5, 1_000_000))


def policy(
    steps: tuple[tuple[float, int], ...],
    *,
    max_decisions: int = 100_000,
    budget_us: float = 50_000.0,
    loss_budget_bps: float = 5000.0,
) -> str:
    """Return a policy as TOML: steps as (share, decisions)."""
    written = "\n".join(_STEP.format(share=share, decisions=decisions) for share, decisions in steps)
    return POLICY.format(
        steps=written, max_decisions=max_decisions, budget_us=budget_us, loss_budget_bps=loss_budget_bps
    )


def harmful_in_shadow(folder: Path, seeds: int, on_seed: OnSeed) -> Row:
    """A version 0.2 sd worse comes off in shadow."""
    return _harmful(folder, seeds, on_seed, steps=SHADOW_ONLY, times=2.0, where="paired in shadow")


def harmful_in_ab(folder: Path, seeds: int, on_seed: OnSeed) -> Row:
    """A version 0.2 sd worse comes off while it acts on half of the decisions."""
    return _harmful(folder, seeds, on_seed, steps=AB, times=4.0, where="in A/B at 50 %")


def slow(folder: Path, seeds: int, on_seed: OnSeed) -> Row:
    """A version of whose answers 5 % are over the budget comes off."""
    with running(folder, policy(SHADOW_ONLY, budget_us=500.0), events_per_second=1000.0) as tier:
        version = tier.register(graphs.slow)
        entries = [_one(tier, version, on_seed, seed) for seed in range(seeds)]
        tier.stop()
        judged = judge(tier.state / "journal")
    _must_agree(entries, judged)
    off = [judged[e.rollout_id].answers for e in entries if judged[e.rollout_id].guardrail == "latency"]
    return row(
        f"slow (5 % of answers over 500 us): its answers until latency takes it off, median of {len(off)}",
        _median(off, seeds),
        SLOW_DECISIONS_MAX,
        "answers",
        low=min(off),
        high=max(off),
        others=_verdicts(judged, entries),
    )


def equal(folder: Path, seeds: int, on_seed: OnSeed) -> Row:
    """A version that is different and as good stays on, through shadow, 10 % and 50 %."""
    with running(folder, policy(CLIMB, max_decisions=10_000), events_per_second=3000.0) as tier:
        version = tier.register(graphs.equal)
        entries = [_one(tier, version, on_seed, seed) for seed in range(seeds)]
        tier.stop()
        judged = judge(tier.state / "journal")
        found = scale(tier.state / "journal")
    _must_agree(entries, judged)
    kept = sum(judged[entry.rollout_id].verdict != "rolled_back" for entry in entries)
    return row(
        f"equal (d {found.mean_sd:+.3f} sd): share of {seeds} kept for 10,000 decisions",
        kept / seeds,
        KEPT_MIN,
        "share",
        smaller_wins=False,
        others=_verdicts(judged, entries),
    )


def registry_away(folder: Path, seeds: int, on_seed: OnSeed) -> Row:
    """A rollback while MLflow is stopped takes effect at once and is written back when MLflow returns."""
    written: list[float] = []
    with running(folder, policy(SHADOW_ONLY), events_per_second=2500.0) as tier:
        version = tier.register(graphs.harmful)
        entries = []
        for seed in range(seeds):
            rollout_id = tier.challenge(version)
            tier.mlflow.stop()
            entries.append(tier.end(rollout_id))
            tier.mlflow.start()
            tier.mlflow.wait_ready()
            since = time.monotonic()
            tier.written_back(version, entries[-1])
            written.append(time.monotonic() - since)
            assert tier.registry.evidence(MODEL, version, f"rollout-{rollout_id}.json")
            on_seed(seed)
        tier.stop()
        judged = judge(tier.state / "journal")
    _must_agree(entries, judged)
    done = sum(judged[entry.rollout_id].verdict == "rolled_back" for entry in entries)
    return row(
        f"MLflow stopped during {seeds} rollbacks, {done} written back: seconds after its return, median",
        statistics.median(written),
        5.0,
        "s",
        low=min(written),
        high=max(written),
        others=_verdicts(judged, entries),
    )


def kills(folder: Path, seeds: int, on_seed: OnSeed) -> Row:
    """Controller and worker killed at random points of every rollout: each verdict is the offline judge's."""
    with running(folder, policy(CLIMB, max_decisions=6000), events_per_second=2500.0) as tier:
        versions = [tier.register(graph) for graph in (graphs.harmful, graphs.equal)]
        entries = []
        for seed in range(seeds):
            choice = random.Random(seed)
            version = choice.choice(versions)
            rollout_id = tier.challenge(version)
            victims = choice.choice((["controller"], ["worker-0"], ["controller", "worker-0"]))
            for victim in victims:
                time.sleep(choice.uniform(0.0, 1.5))
                tier.kill(victim)
            entries.append(tier.end(rollout_id))
            tier.written_back(version, entries[-1])
            on_seed(seed)
        tier.stop()
        judged = judge(tier.state / "journal")
    same = sum(_said(entry) == _found(judged[entry.rollout_id]) for entry in entries)
    return row(
        f"killed -9 at random in {seeds} rollouts: share of verdicts and decision numbers as the offline judge's",
        same / seeds,
        1.0,
        "share",
        smaller_wins=False,
        others=_verdicts(judged, entries),
    )


def hard_limit(folder: Path, seeds: int, on_seed: OnSeed) -> Row:
    """A version that loses its budget while it acts on half of the decisions takes none after the one that tripped."""
    with running(folder, policy(AB, loss_budget_bps=5.0), events_per_second=2500.0) as tier:
        version = tier.register(graphs.harmful)
        entries = [_one(tier, version, on_seed, seed) for seed in range(seeds)]
        tier.stop()
        judged, after = judge(tier.state / "journal"), challenger_decisions_after_trips(tier.state / "journal")
    _must_agree(entries, judged)
    assert all(judged[entry.rollout_id].guardrail == "limit:loss_budget" for entry in entries), judged
    assert after.keys() == {entry.rollout_id for entry in entries}, after
    return row(
        f"hard limit tripped in A/B in {seeds} rollouts: decisions that the challenger took after it, at most",
        max(after.values()),
        0,
        "decisions",
        others=_verdicts(judged, entries),
    )


EXPERIMENTS: Final[dict[str, Callable[[Path, int, OnSeed], Row]]] = {
    "harmful-shadow": harmful_in_shadow,
    "harmful-ab": harmful_in_ab,
    "slow": slow,
    "equal": equal,
    "registry-away": registry_away,
    "kills": kills,
    "hard-limit": hard_limit,
}


@contextmanager
def running(folder: Path, rules: str, *, events_per_second: float) -> Iterator[LiveTier]:
    """Run a tier whose champion follows A, with a market at hand."""
    with LiveTier(folder, rules, events_per_second=events_per_second) as tier:
        tier.registry.move_alias(MODEL, "champion", tier.register(graphs.champion))
        tier.start()
        tier.until(lambda: any(desk.champion for desk in tier.book().desks), "a champion")
        tier.open_feed()
        yield tier


def _harmful(
    folder: Path, seeds: int, on_seed: OnSeed, *, steps: tuple[tuple[float, int], ...], times: float, where: str
) -> Row:
    with running(folder, policy(steps), events_per_second=2500.0) as tier:
        version = tier.register(graphs.harmful)
        entries = [_one(tier, version, on_seed, seed) for seed in range(seeds)]
        tier.stop()
        judged = judge(tier.state / "journal")
        found = scale(tier.state / "journal")
    _must_agree(entries, judged)
    delays = [judged[e.rollout_id].folded for e in entries if judged[e.rollout_id].guardrail == "pnl"]
    bound = found.bound(EDGE_SD, ALPHA)
    return row(
        f"harmful (d {found.mean_sd:+.3f} sd, LRV {found.long_run_variance:.2f}, bound {bound:.0f}) {where}: "
        f"decisions until PnL takes it off, median of {len(delays)}",
        _median(delays, seeds),
        times * bound,
        "decisions",
        low=min(delays),
        high=max(delays),
        goal_name=f"{times:g} x the bound",
        others=_verdicts(judged, entries),
    )


def _one(tier: LiveTier, version: int, on_seed: OnSeed, seed: int) -> Entry:
    """Run one rollout to its end, written back."""
    entry = tier.end(tier.challenge(version))
    tier.written_back(version, entry)
    on_seed(seed)
    return entry


def _median(measured: list[int], seeds: int) -> float:
    """Return the median over all seeds; one that never came off counts as infinitely late."""
    return statistics.median([*measured, *[float("inf")] * (seeds - len(measured))])


def _must_agree(entries: list[Entry], judged: dict[int, Judged]) -> None:
    for entry in entries:
        assert _said(entry) == _found(judged[entry.rollout_id]), (entry, judged[entry.rollout_id])


def _said(entry: Entry) -> tuple[str, str, int | None]:
    assert entry.ended is not None
    return entry.ended.verdict, entry.ended.guardrail, entry.ended.decision


def _found(judged: Judged) -> tuple[str, str, int | None]:
    return judged.verdict, judged.guardrail, judged.decision


def _verdicts(judged: dict[int, Judged], entries: list[Entry]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in entries:
        one = judged[entry.rollout_id]
        name = f"{one.verdict} {one.guardrail}".strip()
        counts[name] = counts.get(name, 0) + 1
    return counts


def row(
    name: str,
    ours: float,
    goal: float,
    unit: str,
    *,
    smaller_wins: bool = True,
    low: float | None = None,
    high: float | None = None,
    goal_name: str = "goal",
    others: dict[str, int] | None = None,
) -> Row:
    """Return one row as benchmarks.report.ratio does, with the goal in the peer's place."""
    return {
        "name": name,
        "ours": ours,
        "peer": goal,
        "peer_name": goal_name,
        "unit": unit,
        "ratio": (goal / ours if smaller_wins else ours / goal) if ours else 0.0,
        "low": ours if low is None else low,
        "high": ours if high is None else high,
        "met": ours <= goal if smaller_wins else ours >= goal,
        "verdicts": others or {},
    }
