"""What the demonstration runs on: which recording, which part teaches, which part is live."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from data_contracts.errors import FormatError, InstrumentChoiceError, UsageError
from data_contracts.policy import Decisions, Guardrails, LatencyGuard, Outcomes, Policy, Rollout, Step
from data_contracts.recording import Recording
from market_data.reading import read_recordings
from market_data.simulator import simulate

SECOND_NS: Final = 1_000_000_000
MODEL: Final = "demo"
SIMULATED_SEED: Final = 7
BURST_DECISIONS: Final = 5
"""Everything shares one small machine here: one stall makes several answers late."""
EVENTS_MIN: Final = 8_000
"""Fewer cannot teach a model and then show three rollouts."""


@dataclass(frozen=True)
class Size:
    """How much of everything; `fast` is for tests."""

    simulated_seconds: float
    train_events: int
    live_events: int
    trials: int
    steps: tuple[Step, ...]
    max_decisions: int
    bake_decisions: int
    decisions_per_second: float
    """Of wall time, while the rest of the recording is replayed."""


FULL: Final = Size(
    simulated_seconds=50_000,
    train_events=60_000,
    live_events=250_000,
    trials=8,
    steps=(
        Step(share=0.0, min_decisions=1000),
        Step(share=0.1, min_decisions=800),
        Step(share=0.5, min_decisions=1200),
    ),
    max_decisions=8000,
    bake_decisions=800,
    decisions_per_second=350.0,
)
FAST: Final = Size(
    simulated_seconds=50_000,
    train_events=25_000,
    live_events=250_000,
    trials=3,
    steps=(
        Step(share=0.0, min_decisions=500),
        Step(share=0.1, min_decisions=300),
        Step(share=0.5, min_decisions=400),
    ),
    max_decisions=6000,
    bake_decisions=300,
    decisions_per_second=350.0,
)


@dataclass(frozen=True)
class Plan:
    """One recording, cut in two by time, and how decisions on it are taken and paid."""

    train: Recording
    live: Recording
    horizon_ns: int
    min_interval_ns: int
    """Between two live decisions: overlapping outcomes say little that is new."""
    learn_interval_ns: int
    """Between two rows that are learnt from."""
    source: str
    notes: tuple[str, ...]

    @property
    def events_per_decision(self) -> float:
        """Live events for one decision, by the minimum interval."""
        span_ns = int(self.live.events["event_ns"][-1] - self.live.events["event_ns"][0])
        decisions = min(len(self.live), span_ns / max(self.min_interval_ns, 1))
        return len(self.live) / max(decisions, 1.0)


def make_plan(data: Path | None, format_name: str | None, instrument: str | None, size: Size, work: Path) -> Plan:
    """Read or simulate the recording and cut it.

    Raises:
        UsageError: no such recording, or too few events.
        FormatError: it is not what its format says.
    """
    if data is None:
        return _simulated(size, work)
    days, notes = _read(data, format_name, instrument)
    if len(days) > 1:
        train, live = days[0], days[1]
        cut = f"the first day ({len(train):,} events) teaches, the second ({len(live):,}) is live"
    else:
        at = int(0.6 * len(days[0]))
        train, live = days[0].part(0, at), days[0].part(at, len(days[0]))
        cut = f"the first 60 % ({len(train):,} events) teach, the rest ({len(live):,}) is live"
    for part, name in ((train, "teach"), (live, "be live")):
        if len(part) < EVENTS_MIN:
            raise UsageError(f"{data}: expected at least {EVENTS_MIN:,} events to {name}, got {len(part):,}")
    train, live = _last(train, size.train_events), live.part(0, size.live_events)
    notes += (cut, f"used: the last {len(train):,} events to teach, the first {len(live):,} live")
    has_sizes = train.has_sizes
    return Plan(
        train=train,
        live=live,
        horizon_ns=(2 if has_sizes else 5) * SECOND_NS,
        min_interval_ns=0 if has_sizes else 2 * SECOND_NS,
        learn_interval_ns=0 if has_sizes else SECOND_NS // 2,
        source=str(data),
        notes=notes,
    )


def make_policy(plan: Plan, size: Size) -> Policy:
    """Return the demonstration's policy: short dwells, and promotion without waiting for a person."""
    return Policy(
        rollout=Rollout(
            steps=size.steps,
            on_success="promote_if_non_inferior",
            max_decisions=size.max_decisions,
            bake_decisions=size.bake_decisions,
        ),
        guardrails=Guardrails(latency=LatencyGuard(budget_us=1000.0, burst_decisions=BURST_DECISIONS)),
        outcomes=Outcomes(entry_latency_ms=1.0, watermark_seconds=plan.horizon_ns / SECOND_NS),
        decisions=Decisions(min_interval_ms=plan.min_interval_ns / 1e6),
    )


def _simulated(size: Size, work: Path) -> Plan:
    path = work / "recording" / "market.itch50"
    path.parent.mkdir(parents=True, exist_ok=True)
    simulate(path, seed=SIMULATED_SEED, seconds=size.simulated_seconds)
    (day,) = read_recordings(path, format="itch50")
    at = int(0.4 * len(day))
    train, live = _last(day.part(0, at), size.train_events), day.part(at, len(day)).part(0, size.live_events)
    notes = (
        f"no recording was named: a market with a planted, weak edge was simulated, {len(day):,} events, "
        f"written as ITCH 5.0 ({path.stat().st_size / 1e6:.1f} MB) and read back",
        f"used: {len(train):,} events to teach, {len(live):,} later ones live",
    )
    return Plan(
        train=train,
        live=live,
        horizon_ns=5 * SECOND_NS,
        min_interval_ns=2 * SECOND_NS,
        learn_interval_ns=SECOND_NS // 2,
        source=str(path),
        notes=notes,
    )


def _read(data: Path, format_name: str | None, instrument: str | None) -> tuple[tuple[Recording, ...], tuple[str, ...]]:
    if not data.exists():
        raise UsageError(f"--data {data}: no such file or folder")
    try:
        return _big_enough(read_recordings(data, format=format_name, instrument=instrument), data)
    except InstrumentChoiceError as error:
        if instrument is not None:
            raise
        chosen, others = error.choices[-1], ", ".join(error.choices[:-1])
    days, notes = _big_enough(read_recordings(data, format=format_name, instrument=chosen), data)
    return days, (f"several instruments: {chosen} is taken; --instrument names another ({others})", *notes)


def _big_enough(days: tuple[Recording, ...], data: Path) -> tuple[tuple[Recording, ...], tuple[str, ...]]:
    if not days:
        raise FormatError(data, where="recording", expected="at least one day of events", got="none")
    used = tuple(day for day in days if len(day) >= EVENTS_MIN) or days
    left_out = len(days) - len(used)
    return used, (f"{left_out} thin day(s) with under {EVENTS_MIN:,} events left out",) if left_out else ()


def _last(recording: Recording, events: int) -> Recording:
    return recording.part(max(0, len(recording) - events), len(recording))
