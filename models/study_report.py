"""A study in Markdown: tables of figures with intervals, and findings in words."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np

from data_contracts.manifest import Estimate
from models.baselines import rule_in_words
from models.findings import finds_anything, predicts
from models.studies import Section, Setting
from models.study import Result, Study

_SKILL: Final = {
    "mcc": "MCC",
    "f1_macro": "F1",
    "information_coefficient": "information coefficient",
    "log_loss": "log loss",
    "brier": "Brier",
    "calibration_error": "ECE",
}
_SUREST: Final = {
    "strong_hit_rate": "moves called right",
    "strong_move_bps": "move its way",
    "strong_cost_bps": "costs",
    "strong_net_bps": "net",
}
_RULE: Final = {
    "trades": "trades",
    "turnover": "share traded",
    "trades_per_hour": "an hour",
    "net_pnl_per_trade_bps": "net a trade",
    "round_trip_per_trade_bps": "left at the touch",
    "total_pnl_bps": "total",
    "max_drawdown_bps": "drawdown",
    "sharpe": "Sharpe",
    "sharpe_bar": "bar",
    "deflated_sharpe": "deflated",
}


def write_report(title: str, setting: Setting, sections: Sequence[Section]) -> str:
    """Return the page."""
    parts = [
        f"# {title}",
        _summary(sections),
        "## How it was made",
        _how(setting, sections),
        "## Data",
        _data(sections),
    ]
    for section in sections:
        parts.append(_section(section))
    return "\n\n".join(parts) + "\n"


def _summary(sections: Sequence[Section]) -> str:
    said = "says where to, information coefficient | surest tenth, net bps | trades | earns after costs"
    lines = [f"| instrument | label | {said} | deflated Sharpe |", "|---|---|---|---|---|---|---|"]
    for section in sections:
        best = _best(section.study)
        found = best.metrics
        net = found["net_pnl_bps"]
        earns = "yes" if net.low is not None and net.low > 0 else "no" if found["trades"].value else "does not trade"
        lines.append(
            f"| {section.instrument} | {section.title} | {'yes' if predicts(found) else 'no'}, {best.name} "
            f"{show(found['information_coefficient'])} | {show(found['strong_net_bps'])} | {show(found['trades'])} "
            f"| {earns} | {show(found['deflated_sharpe'])} |"
        )
    earning = sum(line.split(" | ")[5] == "yes" for line in lines[2:])
    verdict = (
        f"In {earning} of {len(sections)} cases the family that predicts best earns more than nothing after costs. "
        "Of each case the family with the best information coefficient is shown; choosing it this way flatters it."
    )
    return verdict + "\n\n" + "\n".join(lines)


def _best(study: Study) -> Result:
    return max(study.results, key=lambda each: each.metrics["information_coefficient"].value or -1.0)


def _how(setting: Setting, sections: Sequence[Section]) -> str:
    embargo = max(section.embargo_s for section in sections)
    fees = " and ".join(f"{fee:g}" for fee in sorted({section.fee_bps for section in sections}))
    seeds = ", ".join(map(str, setting.seeds))
    said = (
        f"Every UTC day after the first {setting.first_days} is tested by models that learnt from all days before it; "
        f"training rows whose label, or {embargo:g} s of embargo after it, reaches into the test day are purged, and "
        "normalisation is learnt from the training rows.",
        "The first day tested serves to choose each rule's threshold and is not in the figures.",
        f"A decision at least {setting.interval_s:g} s after the one before enters at the touch {setting.latency_ms:g} "
        f"ms later, is marked at mid at the horizon's end, and pays a fee of {fees} bps beside the spread.",
        f"Each family's configuration is the best of {setting.tuning_trials} Optuna trials on the first "
        f"{setting.first_days} days.",
        f"Seeds: {seeds}; a figure is the mean over seeds, its bracket the hull of the seeds' 95 % moving-block "
        "bootstrap intervals.",
        "The deflated Sharpe ratio counts every configuration, seed and label tried on the instrument.",
        "Who stays flat earns 0: that is the baseline of every figure of earnings.",
    )
    return f"```sh\n{setting.command}\n```\n\n" + " ".join(said)


def _data(sections: Sequence[Section]) -> str:
    lines = [
        "| instrument | recordings | events | first, UTC | last, UTC | fingerprints |",
        "|---|---|---|---|---|---|",
    ]
    for ranges in {section.instrument: section.ranges for section in sections}.values():
        prints = ", ".join(each.fingerprint[:8] for each in ranges)
        events = sum(each.events for each in ranges)
        lines.append(
            f"| {ranges[0].instrument} | {len(ranges)} | {events:,} | {_time(ranges[0].first_event_ns)} "
            f"| {_time(ranges[-1].last_event_ns)} | {prints} |"
        )
    return "\n".join(lines)


def _section(section: Section) -> str:
    study = section.study
    shown = {each.name: each for each in study.results}
    shown |= {f"baseline: {each.name}": each for each in study.baselines}
    control = "finds nothing" if not finds_anything(study.control) else "FINDS SOMETHING: the evaluation leaks"
    ic = show(study.control["information_coefficient"])
    leak = "refused" if study.leak_caught else "NOT CAUGHT"
    said = "\n".join(f"- {result.name}: {' '.join(result.findings)}" for result in study.results)
    parts = [
        f"## {section.instrument}, {section.title}",
        f"{study.labels.sentence()[0].upper()}{study.labels.sentence()[1:]}. Tested: {len(study.tested):,} decisions "
        f"on {_days(study)} days; {study.trials} trials.",
        said,
        f"The simple rule among the baselines: {rule_in_words(study.tested.names)}.",
        _table(shown, _SKILL),
        "The tenth of the decisions it is surest of, bps a decision:",
        _table(shown, _SUREST),
        *_trading(shown),
        f"Controls: with shuffled labels logistic regression {control} (information coefficient {ic}); "
        f"a column made from the future is {leak}. Chosen on the first days: "
        + "; ".join(section.configurations.values())
        + ".",
    ]
    return "\n\n".join(parts)


def _trading(shown: dict[str, Result]) -> list[str]:
    trading = {name: each for name, each in shown.items() if each.metrics["trades"].value}
    if not trading:
        return ["No threshold paid its costs on the first day tested: neither a family nor a baseline trades."]
    idle = ", ".join(name for name in shown if name not in trading)
    said = "The rule with the threshold that paid best on the first day tested; bps, Sharpe ratios a period"
    return [said + (f" ({idle}: no trade):" if idle else ":"), _table(trading, _RULE)]


def _table(shown: dict[str, Result], columns: dict[str, str]) -> str:
    lines = [f"| | {' | '.join(columns.values())} |", "|---|" + "---|" * len(columns)]
    lines += [
        f"| {name} | {' | '.join(show(result.metrics[key]) for key in columns)} |" for name, result in shown.items()
    ]
    return "\n".join(lines)


def show(estimate: Estimate) -> str:
    """Return value and interval; a dash where nothing could be measured."""
    if estimate.value is None:
        return "n/a"
    value = f"{estimate.value:,.0f}" if abs(estimate.value) >= 1000 else f"{estimate.value:.3g}"
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{estimate.low:.3g}, {estimate.high:.3g}]"


def _days(study: Study) -> int:
    return len(np.unique(study.tested.event_ns // 86_400_000_000_000))


def _time(event_ns: int) -> str:
    return datetime.fromtimestamp(event_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M")
