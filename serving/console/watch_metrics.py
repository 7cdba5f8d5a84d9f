"""Watches, paper against realised, and divergence as Prometheus metrics."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from serving.console.snapshot import DivergenceSnapshot, ModelSnapshot
from serving.outcomes.reconciliation import Reading

_WATCH = ["model", "version", "name"]
_PAIR = ["model", "version", "against", "instrument"]
_DIVERGENCE = {
    "mean": ("Mean absolute distance of outputs from the champion's, in bps or probability.", "mean_difference"),
    "max": ("Largest absolute distance of outputs from the champion's.", "max_difference"),
    "disagreement": ("Share of decisions on which the actions differ, 0 to 1.", "disagreement"),
    "rank_correlation": ("Spearman's, of the newest outputs.", "rank_correlation"),
    "decisions": ("Decisions that both answered.", "count"),
    "dropped": ("Decisions on which one of the two was never scored.", "dropped"),
}


def watch_metrics(models: Iterable[ModelSnapshot], compared: Iterable[Reading]) -> Iterator[Metric]:
    """Return what is watched in each rollout and of each version's outcomes, and how far each is from the champion.

    Args:
        models: served.
        compared: paper against realised; the watch `reconciliation`, in a rollout or not.
    """
    shown = tuple(models)
    alarm = GaugeMetricFamily("ringcraft_alarm", "1 while the alarm is raised.", labels=_WATCH)
    value = GaugeMetricFamily("ringcraft_watch_value", "What the watch measures, in its own unit.", labels=_WATCH)
    limit = GaugeMetricFamily("ringcraft_watch_limit", "What that is held against.", labels=_WATCH)
    for model in shown:
        rollout = model.rollout
        for watch in rollout.watches if rollout is not None and not rollout.verdict else ():
            labels = [model.model, str(rollout.version) if rollout is not None else "", watch.name]
            alarm.add_metric(labels, float(watch.raised))
            if watch.value is not None:
                value.add_metric(labels, watch.value)
            if watch.limit is not None:
                limit.add_metric(labels, watch.limit)
    for said in compared:
        labels = [said.model, str(said.version), "reconciliation"]
        alarm.add_metric(labels, float(said.raised))
        limit.add_metric(labels, said.tolerance_bps)
        if said.mean_bps is not None:
            value.add_metric(labels, said.mean_bps)
    yield from (alarm, value, limit)
    for name, (text, field) in _DIVERGENCE.items():
        gauge = GaugeMetricFamily(f"ringcraft_divergence_{name}", text, labels=_PAIR)
        for model in shown:
            for one in model.divergence:
                measured = getattr(one, field)
                if measured is not None:
                    gauge.add_metric(_labels(model.model, one), float(measured))
        yield gauge


def _labels(model: str, one: DivergenceSnapshot) -> list[str]:
    return [model, str(one.version), str(one.against), one.instrument or "all"]
