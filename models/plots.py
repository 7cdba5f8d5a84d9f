"""The pictures of a model card, each one PNG."""

import io
from datetime import UTC, datetime
from typing import Any, Final

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from numpy.typing import NDArray

from data_contracts.manifest import Compression
from models import metrics
from models.dataset import Dataset
from models.metrics import Scores, signal
from models.trading import actions, never, pnl_bps

_INK, _BLUE, _ORANGE, _GREY = "#1c2430", "#2563a8", "#d9731a", "#9aa5b1"
_STYLE: Final[Any] = {
    "figure.dpi": 110,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _INK,
    "axes.titleweight": "bold",
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6eaef",
    "legend.frameon": False,
}
_CLASSES: Final = ("down", "flat", "up")
_IDLE_SHARE: Final = 0.05


def pnl_curve(scores: Scores, dataset: Dataset, *, threshold: float) -> bytes:
    """Draw net and gross PnL over the held-out rows; of a model that does not trade, its strongest signals' instead."""
    idle = threshold >= never(scores)
    shown = float(np.quantile(np.abs(signal(scores)), 1 - _IDLE_SHARE)) if idle else threshold
    taken = actions(scores, shown)
    when = [datetime.fromtimestamp(ns / 1e9, UTC) for ns in dataset.event_ns]
    with _figure() as (figure, axes):
        net, gross = np.cumsum(pnl_bps(dataset, taken)), np.cumsum(taken * dataset.mid_move_bps)
        style = {"linestyle": "--"} if idle else {}
        axes.plot(when, gross, color=_GREY, label="before costs (mid to mid)", **style)
        axes.plot(when, net, color=_BLUE, label="after spread and fees", **style)
        axes.axhline(0, color=_INK, linewidth=0.8)
        what = f"does not trade; had it acted on its strongest {_IDLE_SHARE:.0%}" if idle else "held-out rows"
        axes.set(title=f"Cumulative PnL, {what}", ylabel="sum, bps of mid", xlabel="event time, UTC")
        locator: Any = AutoDateLocator()  # type: ignore[no-untyped-call]  # typed only in part
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # likewise
        axes.legend(loc="best")
        return _png(figure)


def calibration(scores: Scores, dataset: Dataset) -> bytes:
    """Draw observed shares against said probabilities, all classes together; of moves, came against said."""
    if scores.shape[1] == 1:
        return _expected_moves(scores, dataset)
    said, observed, count = metrics.calibration(scores, dataset.classes)
    with _figure(width=4.3) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, label="perfect")
        axes.plot(said, observed, "o-", color=_BLUE, markersize=5, label=f"{count.sum() // len(count)} scores a point")
        top = min(1.0, 1.1 * max(said.max(), observed.max()))
        axes.set(
            title="Calibration, all classes",
            xlabel="probability said",
            ylabel="share that came true",
            xlim=(0, top),
            ylim=(0, top),
        )
        axes.legend(loc="upper left")
        return _png(figure)


def _expected_moves(scores: Scores, dataset: Dataset, *, bins: int = 10) -> bytes:
    groups = np.array_split(np.argsort(scores[:, 0], kind="stable"), bins)
    said = [float(scores[group, 0].mean()) for group in groups]
    moved = [float(dataset.mid_move_bps[group].mean()) for group in groups]
    with _figure(width=4.3) as (figure, axes):
        axes.plot([min(said), max(said)], [min(said), max(said)], color=_GREY, linewidth=1, label="perfect")
        axes.plot(said, moved, "o-", color=_BLUE, markersize=5, label=f"{len(scores) // bins} decisions a point")
        axes.set(title="Calibration of moves", xlabel="expected, bps", ylabel="mean that came, bps")
        axes.legend(loc="upper left")
        return _png(figure)


def confusion(scores: Scores, dataset: Dataset, *, cut: float = 0.0) -> bytes:
    """Draw the confusion matrix: shares of each true class; an expected move beyond `cut` bps says a class."""
    table = metrics.confusion_rows(scores, dataset.classes, cut=cut).sum(axis=0).reshape(3, 3)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    with _figure(width=4.3) as (figure, axes):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for true, said in np.ndindex(3, 3):
            ink = "white" if shares[true, said] > 0.5 else _INK
            text = f"{shares[true, said]:.0%}\n{table[true, said]:,.0f}"
            axes.text(said, true, text, ha="center", va="center", color=ink)
        axes.set(title="Confusion, share of each true class", xlabel="predicted", ylabel="true")
        axes.set_xticks(range(3), _CLASSES)
        axes.set_yticks(range(3), _CLASSES)
        axes.grid(visible=False)
        return _png(figure)


def importance(rises: NDArray[np.float64], names: tuple[str, ...], *, shown: int = 12) -> bytes:
    """Draw the features whose shuffling hurts most."""
    order = np.argsort(rises)[-shown:]
    with _figure() as (figure, axes):
        axes.barh([names[index] for index in order], rises[order], color=_BLUE)
        axes.axvline(0, color=_INK, linewidth=0.8)
        axes.set(title="Feature importance: shuffling one column", xlabel="rise of the loss")
        axes.grid(visible=False, axis="y")
        return _png(figure)


def latency(samples_ns: NDArray[np.int64]) -> bytes:
    """Draw how long single rows took, up to the 99.5 % quantile, with p50 and p99."""
    micros = samples_ns / 1e3
    p50, p99, end = np.percentile(micros, [50, 99, 99.5])
    with _figure() as (figure, axes):
        axes.hist(micros[micros <= end], bins=60, color=_BLUE)
        for value, label in ((p50, "p50"), (p99, "p99")):
            axes.axvline(value, color=_ORANGE, linewidth=1.2)
            axes.annotate(f" {label} {value:.1f}", (value, 0.96), xycoords=("data", "axes fraction"), color=_ORANGE)
        axes.set(title="Inference alone, one row at a time", xlabel="µs a row", ylabel="timed rows")
        return _png(figure)


def compression_front(done: Compression) -> bytes:
    """Draw bytes against metric difference on the comparing rows, with median latencies and the margin."""
    with _figure() as (figure, axes):
        for point in done.front:
            where = (point.bytes / 1024, point.compared.value or 0.0)
            low, high = point.compared.low or 0.0, point.compared.high or 0.0
            colour = _ORANGE if point.published else _BLUE if point.steps else _INK
            axes.plot([where[0]] * 2, [low, high], color=colour, linewidth=1.2)
            axes.plot(*where, "o", color=colour, markersize=6)
            axes.annotate(f" {point.latency.p50_us:.1f} µs", where, va="bottom", color=colour, fontsize=8)
        axes.axhline(done.margin, color=_GREY, linestyle="--", linewidth=1)
        axes.annotate(
            "margin", (1, done.margin), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=_GREY
        )
        axes.set(
            title="Compression front: original black, published orange",
            xlabel="KiB (log scale)",
            ylabel=f"{done.metric.replace('_', ' ')} difference, 95 %",
            xscale="log",
        )
        return _png(figure)


class _figure:  # noqa: N801  used as a function
    """A styled figure that is closed afterwards, so that flows do not gather them."""

    def __init__(self, *, width: float = 7.0) -> None:
        self._context, self._width = mpl.rc_context(_STYLE), width

    def __enter__(self) -> tuple[Any, Any]:
        self._context.__enter__()
        self._figure, axes = plt.subplots(figsize=(self._width, 3.8), layout="constrained")
        return self._figure, axes

    def __exit__(self, *error: object) -> None:
        plt.close(self._figure)
        self._context.__exit__(None, None, None)


def _png(figure: Any) -> bytes:  # noqa: ANN401  the library publishes no types
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
