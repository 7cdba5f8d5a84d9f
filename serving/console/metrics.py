"""The snapshot as Prometheus metrics; every value is read at the moment of the scrape."""

import re
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.console.outcome_metrics import outcome_metrics
from serving.console.snapshot import ArmSnapshot, ModelSnapshot, Snapshot, WorkerSnapshot
from serving.console.watch_metrics import watch_metrics

_ARM = ["model", "arm", "version"]


class SnapshotCollector(Collector):
    """Offers what the snapshot says to a CollectorRegistry."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        """Return all metrics as of now."""
        now = self._snapshot()
        yield _gauge("ready", "1 when every followed model has a verified, warm champion.", now.ready)
        yield _gauge("mlflow_reachable", "1 when the last poll of the registry was answered.", now.mlflow_reachable)
        if now.event_ns is not None:
            yield _gauge("event_time_seconds", "Event time of the newest event, since 1970.", now.event_ns / 1e9)
        yield from _arms([(model.model, arm) for model in now.models for arm in model.arms])
        yield from _rollouts(now.models)
        yield from watch_metrics(now.models, now.outcomes.reconciliation if now.outcomes is not None else ())
        yield from _workers(now.workers)
        if now.outcomes is not None:
            yield from outcome_metrics(now.outcomes)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"ringcraft_{name}", text, value=float(value))


def _arms(arms: list[tuple[str, ArmSnapshot]]) -> Iterator[Metric]:
    counted: dict[str, tuple[str, Callable[[ArmSnapshot], float]]] = {
        "decisions": ("Live decisions the arm took.", lambda arm: arm.decisions),
        "trades": ("Live decisions with an action.", lambda arm: arm.trades),
        "late_answers": ("Answers over the latency budget.", lambda arm: arm.late),
        "failed_answers": ("Answers that failed.", lambda arm: arm.failed),
    }
    for name, (text, value) in counted.items():
        counter = CounterMetricFamily(f"ringcraft_{name}", text, labels=_ARM)
        for model, arm in arms:
            counter.add_metric(_labels(model, arm), value(arm))
        yield counter
    gauged: dict[str, tuple[str, Callable[[ArmSnapshot], float | None]]] = {
        "share": ("Of live decisions by the routing table, 0 to 1.", lambda arm: arm.share),
        "served_share": ("Of live decisions as measured in the epoch, 0 to 1.", lambda arm: arm.served_share),
        "pnl_bps": ("Sum of mark-outs of the arm's own live decisions, after costs.", lambda arm: arm.pnl_bps),
        "paper_pnl_bps": ("Sum over all decisions as if it had taken them.", lambda arm: arm.paper_pnl_bps),
    }
    for name, (text, read) in gauged.items():
        gauge = GaugeMetricFamily(f"ringcraft_{name}", text, labels=_ARM)
        for model, arm in arms:
            if (measured := read(arm)) is not None:
                gauge.add_metric(_labels(model, arm), measured)
        yield gauge
    engine = GaugeMetricFamily(
        "ringcraft_engine", "1 for the engine that runs the arm's model.", labels=[*_ARM, "tier"]
    )
    for model, arm in arms:
        if arm.tier:
            engine.add_metric([*_labels(model, arm), arm.tier], 1)
    yield engine
    breaker = GaugeMetricFamily("ringcraft_breaker", "0 closed, 1 half-open, 2 open.", labels=_ARM)
    for model, arm in arms:
        state = arm.breaker.partition(":")[0]
        breaker.add_metric(_labels(model, arm), ("closed", "half_open", "open").index(state))
    yield breaker
    latency = GaugeMetricFamily("ringcraft_latency_us", "Answer minus receive.", labels=[*_ARM, "quantile"])
    for model, arm in arms:
        for quantile, reached in (("0.5", arm.latency_p50_us), ("0.99", arm.latency_p99_us)):
            if reached is not None:
                latency.add_metric([*_labels(model, arm), quantile], reached)
    yield latency


def _labels(model: str, arm: ArmSnapshot) -> list[str]:
    return [model, arm.arm, str(arm.version)]


def _rollouts(models: Iterable[ModelSnapshot]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "ringcraft_rollout_state", "1 for the state the rollout is in.", labels=["model", "version", "state", "verdict"]
    )
    paused = GaugeMetricFamily("ringcraft_rollout_paused", "1 while paused.", labels=["model"])
    step = GaugeMetricFamily("ringcraft_rollout_step", "Step of the policy, from 0.", labels=["model"])
    folded = GaugeMetricFamily("ringcraft_rollout_folded_decisions", "Decisions judged so far.", labels=["model"])
    guard = GaugeMetricFamily(
        "ringcraft_guardrail_evidence",
        "Log of the e-value over log of its threshold: 1 trips.",
        labels=["model", "guardrail"],
    )
    for model in models:
        rollout = model.rollout
        if rollout is None:
            continue
        state.add_metric([model.model, str(rollout.version), rollout.state, rollout.verdict], 1)
        paused.add_metric([model.model], float(rollout.paused))
        step.add_metric([model.model], rollout.step)
        folded.add_metric([model.model], rollout.folded)
        for judged in rollout.guards:
            guard.add_metric([model.model, judged.name], judged.evidence)
    yield from (state, paused, step, folded, guard)


def _workers(workers: tuple[WorkerSnapshot, ...]) -> Iterator[Metric]:
    alive = GaugeMetricFamily("ringcraft_worker_alive", "1 while the worker's process lives.", labels=["worker"])
    for worker in workers:
        alive.add_metric([worker.name], float(worker.alive))
    yield alive
    for name in sorted({name for worker in workers for name in worker.counters}):
        known = re.sub(r"\W", "_", name)
        counter = CounterMetricFamily(f"ringcraft_worker_{known}", f"The worker's counter {name}.", labels=["worker"])
        for worker in workers:
            if name in worker.counters:
                counter.add_metric([worker.name], worker.counters[name])
        yield counter
