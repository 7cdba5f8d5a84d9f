"""The model card: one self-contained page that says what a version is, how good, and what it is not for."""

import base64
import html
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from data_contracts.instrument import Instrument
from data_contracts.manifest import Compression, DataRange, Estimate, Label, Latency, SeedSpread, Spread
from models.labels import LabelReport

CARD_FILE: Final = "model_card.html"
_SIMULATED: Final = "The market was simulated, with an edge planted in it: figures say nothing about any real market."


class CardFacts(Struct, frozen=True, kw_only=True):
    """Everything a card states."""

    model: str
    family: str
    instrument: Instrument
    feature_set: str
    features: tuple[str, ...]
    label: Label
    labels: LabelReport
    threshold: float
    score: str
    """What is held against the threshold, in words."""
    data: tuple[DataRange, ...]
    metrics: dict[str, Estimate]
    baselines: dict[str, dict[str, Estimate]]
    trials: str = ""
    """How many configurations the deflated Sharpe ratio counts, and how that is known."""
    seeds: SeedSpread | None = None
    compression: Compression | None
    latency: Latency
    notes: tuple[str, ...]
    source_commit: str


_METRICS: Final = {
    "mcc": "Matthews correlation",
    "f1_macro": "F1, macro",
    "accuracy": "accuracy",
    "information_coefficient": "information coefficient",
    "log_loss": "log loss, nats",
    "brier": "Brier score",
    "calibration_error": "expected calibration error",
    "net_pnl_bps": "net PnL a decision, bps",
    "net_pnl_per_trade_bps": "net PnL a trade, bps",
    "round_trip_per_trade_bps": "the same, left at the touch",
    "total_pnl_bps": "total net PnL, bps",
    "max_drawdown_bps": "largest drawdown, bps",
    "trades": "trades",
    "turnover": "share of decisions that trade",
    "trades_per_hour": "trades an hour",
    "sharpe": "Sharpe ratio a period",
    "deflated_sharpe": "deflated Sharpe ratio",
    "trials": "configurations tried",
    "strong_hit_rate": "surest tenth: moves called right",
    "strong_move_bps": "surest tenth: move its way, bps",
    "strong_cost_bps": "surest tenth: spread, fees, latency, bps",
    "strong_net_bps": "surest tenth: net, bps",
}


def write_card(facts: CardFacts, plots: Mapping[str, bytes]) -> str:
    """Return the page; `plots` are PNGs by title, in the order shown."""
    title = f"{facts.model}: {facts.family} on {facts.instrument.symbol}"
    sections = [
        f"<h1>{_text(title)}</h1><p class=lead>{_text(_lead(facts))}</p>",
        _section("Limits of use", _list(_limits(facts))),
        _section("Held-out results", _metrics_table(facts)),
        f"<div class=plots>{''.join(_picture(name, png) for name, png in plots.items())}</div>",
        _section("Data", _data_table(facts)),
        _section("Label and decision rule", _list(_rule(facts))),
        _section("Compression", f"<p>{_text(_compression(facts.compression))}</p>"),
        _section("Latency", f"<p>{_text(_latency(facts.latency))}</p>"),
        _section("Features", f"<p>{_text(facts.feature_set)}: {_text(', '.join(facts.features))}.</p>"),
        f"<footer>Source commit {_text(facts.source_commit)}.</footer>",
    ]
    head = (
        f"<!doctype html><html lang=en><head><meta charset=utf-8>"
        f"<meta name=viewport content='width=device-width'><title>{_text(title)}</title><style>{_STYLE}</style>"
    )
    return head + "</head><body>" + "\n".join(sections) + "</body></html>\n"


def write_summary(facts: CardFacts) -> str:
    """Return the card in a few lines of Markdown, for a registry's description field."""
    shown = ("mcc", "log_loss", "net_pnl_bps", "net_pnl_per_trade_bps", "trades")
    lines = [f"# {facts.model}: {facts.family} on {facts.instrument.symbol}", "", _lead(facts), ""]
    lines += ["| metric | held out [95 % interval] |", "|---|---|"]
    lines += [f"| {_METRICS[key]} | {show(facts.metrics[key])} |" for key in shown]
    if facts.seeds:
        lines += ["", _seeds(facts.seeds)]
    if facts.seeds and not facts.seeds.one_optimum:
        spread = facts.seeds.held_out
        lines += ["", "| metric | over seeds |", "|---|---|"]
        lines += [f"| {_METRICS[key]} | {show_spread(spread[key])} |" for key in shown if key in spread]
    lines += ["", *(f"- {line}" for line in _limits(facts))]
    lines += [f"- {facts.trials}"] if facts.trials else []
    lines += [f"- Compression: {_compression(facts.compression)}", f"- Latency: {_latency(facts.latency)}"]
    return "\n".join(lines) + "\n"


def _lead(facts: CardFacts) -> str:
    pnl = facts.metrics["net_pnl_bps"]
    if not facts.metrics["trades"].value:
        return "On held-out data this version makes no trade."
    verdict = "not distinguishable from zero"
    if pnl.low is not None and pnl.low > 0:
        verdict = "above zero"
    if pnl.high is not None and pnl.high < 0:
        verdict = "below zero"
    return f"On held-out data it earns {show(pnl)} bps a decision after spread and fees, which is {verdict}."


def _limits(facts: CardFacts) -> list[str]:
    days = {_day(part.first_event_ns) for part in facts.data} | {_day(part.last_event_ns) for part in facts.data}
    return [
        *facts.notes,
        *([_SIMULATED] if facts.instrument.symbol.startswith("SIM:") else []),
        f"It has seen {facts.instrument.symbol} on {len(days)} day{'s' if len(days) > 1 else ''} only; "
        "nothing is known about other regimes.",
        "PnL supposes one lot filled at the touch after the stated latency, without queue or market impact.",
        f"Entry fee counted: {facts.instrument.fee_bps:g} bps of the traded value.",
        "Intervals are 95 %, from a moving-block bootstrap; they do not cover a change of regime.",
    ]


def _metrics_table(facts: CardFacts) -> str:
    names, spread = list(facts.baselines), facts.seeds.held_out if facts.seeds else {}
    over = "<th>over seeds" if facts.seeds else ""
    head = f"<tr><th>metric<th>this version{over}" + "".join(f"<th>baseline: {_text(name)}" for name in names) + "</tr>"
    rows = "".join(
        f"<tr><td>{label}<td>{show(facts.metrics[key])}"
        + (f"<td>{show_spread(spread.get(key))}" if facts.seeds else "")
        + "".join(f"<td>{show(facts.baselines[name][key])}" for name in names)
        + "</tr>"
        for key, label in _METRICS.items()
        if key in facts.metrics
    )
    folds = {key.removeprefix("walk_forward_"): value for key, value in facts.metrics.items() if "walk_forward" in key}
    walked = facts.seeds.walk_forward if facts.seeds else {}
    more = "; ".join(
        f"{_text(_METRICS.get(key, key))} {show(value)}"
        + (f", over seeds {show_spread(walked[key])}" if key in walked else "")
        for key, value in folds.items()
    )
    said = (
        "<p>In brackets the 95 % interval. Nothing was learnt from these rows; "
        "the compressed form was chosen on the first part of them and confirmed on the rest."
        + (f" {_text(facts.trials)}" if facts.trials else "")
        + (f" {_text(_seeds(facts.seeds))}" if facts.seeds else "")
        + "</p>"
    )
    return f"{said}<table>{head}{rows}</table>" + (f"<p>Walk-forward, out of fold: {more}.</p>" if more else "")


def _seeds(over: SeedSpread) -> str:
    named = ", ".join(str(seed) for seed in over.seeds)
    if over.one_optimum:
        return f"Seeds {named}: this family learns the same with every one of them."
    return (
        f"Over seeds: lowest to highest of what was learnt with seeds {named}, each with a threshold of its own, "
        f"before compression. Published is seed {over.published}, which was named beforehand: the best of them would "
        "be picked on these rows."
    )


def _data_table(facts: CardFacts) -> str:
    rows = "".join(
        f"<tr><td>{_text(part.source)}<td>{part.events:,}<td>{_time(part.first_event_ns)}<td>{_time(part.last_event_ns)}"
        f"<td><code>{part.fingerprint[:12]}</code></tr>"
        for part in facts.data
    )
    return f"<table><tr><th>source<th>events<th>first, UTC<th>last, UTC<th>fingerprint</tr>{rows}</table>"


def _rule(facts: CardFacts) -> list[str]:
    labels = facts.labels
    return [
        _class(facts.label),
        f"Of {labels.rows:,} rows {labels.share_down:.1%} are down, {labels.share_flat:.1%} flat, "
        f"{labels.share_up:.1%} up; {labels.dropped:,} had no usable mark and were dropped.",
        f"{labels.share_labels_paying:.1%} of the moves labelled paid the spread and fees; "
        f"in {labels.share_paying:.1%} of all rows one of the two sides would have.",
        f"Decision: buy where {facts.score} > {facts.threshold:.4g}, sell where it is < -{facts.threshold:.4g}.",
    ]


def _class(label: Label) -> str:
    end = f"{label.horizon_ns / 1e9:.3g} s"
    if label.horizon_events is not None:
        end = f"{label.horizon_events} events (in the median {end})"
    limit = f"{label.threshold_bps:.3g} bps"
    if label.spreads is not None:
        limit = f"{label.spreads:g} spreads (in the median {limit})"
    said = {
        "mid_move": f"mid {end} after the decision against mid now; beyond {limit} it is up or down",
        "smoothed_mid": f"mean mid of the {end} after the decision against mid now; beyond {limit} it is up or down",
        "spread_aware": f"mid {end} after the decision against mid now; beyond {limit} it is up or down",
        "triple_barrier": f"which barrier, {limit} away, the mid reaches first within {end}; flat where none",
        "markout": f"the side that earns over {limit} after spread and fees, marked {end} after the decision",
    }
    return f"Class: {said.get(label.kind, label.kind)}."


def _compression(done: Compression | None) -> str:
    if done is None:
        return "None: the family has no smaller form."
    metric = done.metric.replace("_", " ")
    interval = f"95 % interval of the {metric} difference {done.difference_low:.5f} to {done.difference_high:.5f}"
    if not done.steps:
        return f"Published uncompressed ({done.original_bytes:,} bytes): nearest candidate's {interval}."
    ratio = done.original_bytes / done.compressed_bytes
    speed = ""
    if done.original_latency is not None and done.latency is not None:
        speed = f" Median latency {done.original_latency.p50_us:.1f} µs before, {done.latency.p50_us:.1f} µs after."
    return (
        f"{done.original_bytes:,} to {done.compressed_bytes:,} bytes ({ratio:.1f} times smaller): "
        f"{'; '.join(done.steps)}. {interval}, margin {done.margin:g} stated beforehand: not inferior.{speed}"
    )


def _latency(measured: Latency) -> str:
    times = f"p50 {measured.p50_us:.1f} µs, p99 {measured.p99_us:.1f} µs"
    return f"{times}, one row at a time, inference alone; {measured.machine}."


def show(estimate: Estimate) -> str:
    """Return value and interval for a person; n/a where nothing could be measured."""
    if estimate.value is None:
        return "n/a"
    value = _number(estimate.value)
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{_number(estimate.low)}, {_number(estimate.high)}]"


def show_spread(spread: Spread | None) -> str:
    """Return lowest and highest for a person; n/a where nothing could be measured."""
    return f"{_number(spread.low)} to {_number(spread.high)}" if spread else "n/a"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _picture(name: str, png: bytes) -> str:
    return f"<img alt='{_text(name.replace('_', ' '))}' src='data:image/png;base64,{_encoded(png)}'>"


def _section(title: str, body: str) -> str:
    return f"<h2>{title}</h2>{body}"


def _list(lines: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{_text(line)}</li>" for line in lines) + "</ul>"


def _text(value: str) -> str:
    return html.escape(value)


def _encoded(png: bytes) -> str:
    return base64.b64encode(png).decode()


def _time(event_ns: int) -> str:
    return datetime.fromtimestamp(event_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _day(event_ns: int) -> str:
    return _time(event_ns)[:10]


_STYLE: Final = (
    "body{font:15px/1.55 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1c2430}"
    "h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2rem}.lead{font-size:1.1rem}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th,td{text-align:left;padding:.3rem .7rem .3rem 0;border-bottom:1px solid #e1e6ec}"
    "td{overflow-wrap:anywhere;vertical-align:top}"
    ".plots{display:flex;flex-wrap:wrap;align-items:flex-start;gap:1.2rem 1.4rem;margin-top:1.4rem}img{max-width:100%}"
    "footer{margin-top:2rem;color:#6b7683;font-size:.85rem}"
)
