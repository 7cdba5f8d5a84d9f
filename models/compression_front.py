"""What compression reports: the Pareto front of bytes, metric difference and latency, and what was published of it."""

from collections.abc import Sequence
from typing import Final

from data_contracts.manifest import Compression, Estimate, FrontPoint, Latency
from models.compression import MARGIN, METRIC, TARGET_SHARE, Choice, Margin, Trial

NONE_QUALIFIED_NOTE: Final = (
    f"no form at least {1 - TARGET_SHARE:.0%} smaller was confirmed not to be inferior: published uncompressed"
)
CLASS_MARGIN: Final = Margin(METRIC, MARGIN)
_NONE = Estimate(value=0.0, low=0.0, high=0.0)


def report(
    original_bytes: int,
    original_latency: Latency,
    choice: Choice,
    latencies: Sequence[Latency],
    *,
    margin: Margin = CLASS_MARGIN,
) -> Compression | None:
    """Return the manifest's part on compression; None where no candidate could be held against the original.

    Args:
        original_bytes: of the fp32 graph as its family exports it.
        original_latency: of the same.
        choice: every trial, and which is published.
        latencies: of the trials, in their order.
        margin: the one that the choice was made with.
    """
    published = choice.best
    shown = published or choice.nearest or _closest(choice.trials)
    if shown is None:
        return None
    difference = shown.confirmed or shown.compared
    low, high = difference.low, difference.high
    if low is None or high is None:
        return None
    points = [FrontPoint(steps=(), bytes=original_bytes, compared=_NONE, latency=original_latency)]
    points += [
        _point(trial, latency, published=trial is published)
        for trial, latency in zip(choice.trials, latencies, strict=True)
    ]
    timed = {id(trial): latency for trial, latency in zip(choice.trials, latencies, strict=True)}
    return Compression(
        original_bytes=original_bytes,
        compressed_bytes=original_bytes if published is None else published.size_bytes,
        steps=() if published is None else published.candidate.steps,
        metric=margin.metric,
        difference_low=low,
        difference_high=high,
        margin=margin.value,
        not_inferior=published is not None,
        confirmed_from_ns=choice.confirmed_from_ns,
        original_latency=original_latency,
        latency=original_latency if published is None else timed[id(published)],
        front=_front(points),
    )


def _point(trial: Trial, latency: Latency, *, published: bool) -> FrontPoint:
    return FrontPoint(
        steps=trial.candidate.steps,
        bytes=trial.size_bytes,
        compared=trial.compared,
        confirmed=trial.confirmed,
        latency=latency,
        published=published,
    )


def _front(points: Sequence[FrontPoint]) -> tuple[FrontPoint, ...]:
    """Return the points on the front and what is published, largest first."""
    measured = [point for point in points if point.compared.value is not None]
    kept = set(pareto([(p.bytes, p.compared.value or 0.0, p.latency.p50_us) for p in measured]))
    front = [point for index, point in enumerate(measured) if index in kept or point.published]
    return tuple(sorted(front, key=lambda point: -point.bytes))


def pareto(points: Sequence[tuple[float, ...]]) -> list[int]:
    """Return which points no other beats: is at most as large in every coordinate, and smaller in one."""

    def beaten(index: int) -> bool:
        here = points[index]
        return any(other != here and all(a <= b for a, b in zip(other, here, strict=True)) for other in points)

    return [index for index in range(len(points)) if not beaten(index)]


def _closest(trials: Sequence[Trial]) -> Trial | None:
    measured = [trial for trial in trials if trial.compared.high is not None]
    return min(measured, key=lambda trial: trial.compared.high or 0.0, default=None)
