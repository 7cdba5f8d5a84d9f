"""A study in Markdown: tables of figures with intervals, and findings in words."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np

from data_contracts.manifest import Estimate
from models.baselines import rule_in_words
from models.controls import FALSE_ALARMS, SHUFFLES, Control, found_something
from models.families import family
from models.findings import predicts
from models.fitting import target_of
from models.studies import Section, Setting
from models.study import Result, Study

_SKILL: Final = {
    "mcc": "MCC",
    "f1_macro": "F1",
    "information_coefficient": "information coefficient",
    "log_loss": "log loss",
    "brier": "Brier",
    "calibration_error": "ECE",
    "r2": "R² of moves",
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
    parts += [_section(section, leaks) for section, leaks in zip(sections, _leaks(sections), strict=True)]
    return "\n\n".join(parts) + "\n"


def _summary(sections: Sequence[Section]) -> str:
    columns = (
        "instrument",
        "label",
        "best family after costs",
        "surest tenth, net bps",
        "trades",
        "its rule, net bps a decision",
        "deflated Sharpe",
        "says where to best, information coefficient",
        "shuffled labels",
    )
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for section, leaks in zip(sections, _leaks(sections), strict=True):
        study = section.study
        best = max(study.results, key=lambda each: _value(each, "strong_net_bps"))
        tells = max(study.results, key=lambda each: _value(each, "information_coefficient"))
        found, told = best.metrics, tells.metrics["information_coefficient"]
        trades = show(found["trades"]) if found["trades"].value else "none"
        cells = (
            section.instrument,
            section.title,
            best.name,
            show(found["strong_net_bps"]),
            trades,
            show(found["net_pnl_bps"]) if found["trades"].value else "0",
            show(found["deflated_sharpe"]),
            f"{tells.name} {show(told)}" if predicts(tells.metrics) else f"none; {tells.name} {show(told)}",
            "LEAKS" if leaks else "nothing",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return f"{_verdict(sections)}\n\n" + "\n".join(lines)


def _verdict(sections: Sequence[Section]) -> str:
    earning = sum(any(_earns(result) for result in section.study.results) for section in sections)
    telling = sum(any(predicts(result.metrics) for result in section.study.results) for section in sections)
    return (
        f"In {telling} of {len(sections)} cases a family tells where the price goes; in {earning} of {len(sections)} "
        "one earns more than nothing after costs (its rule's 95 % interval above 0). Best after costs is the family "
        "that nets most on the tenth of the decisions it is surest of; picking it flatters it."
    )


def _earns(result: Result) -> bool:
    low = result.metrics["net_pnl_bps"].low
    return low is not None and low > 0


def _value(result: Result, name: str) -> float:
    value = result.metrics[name].value
    return -np.inf if value is None else value


def _leaks(sections: Sequence[Section]) -> tuple[bool, ...]:
    return found_something([section.study.control for section in sections])


def _how(setting: Setting, sections: Sequence[Section]) -> str:
    embargo = max(section.embargo_s for section in sections)
    fees = " and ".join(f"{fee:g}" for fee in sorted({section.fee_bps for section in sections}))
    seeds = ", ".join(map(str, setting.seeds))
    tests = sum(len(section.study.control.p_values) for section in sections)
    said = (
        f"Every UTC day after the first {setting.first_days} is tested by models that learnt from all days before it; "
        f"training rows whose label, or {embargo:g} s of embargo after it, reaches into the test day are purged, and "
        "normalisation is learnt from the training rows.",
        "The first day tested serves to choose each rule's threshold and is not in the figures.",
        _taught(setting),
        f"A decision at least {setting.interval_s:g} s after the one before enters at the touch {setting.latency_ms:g} "
        f"ms later, is marked at mid at the horizon's end, and pays a fee of {fees} bps beside the spread.",
        f"Each family's configuration is the best of {setting.tuning_trials} Optuna trials on the first "
        f"{setting.first_days} days."
        if setting.tuning_trials > 1
        else "Each family's configuration is its default.",
        f"Seeds: {seeds}; a figure is the mean over seeds, its bracket the hull of the seeds' 95 % moving-block "
        "bootstrap intervals.",
        "The deflated Sharpe ratio counts every configuration, seed and label tried on the instrument.",
        "Who stays flat earns 0: that is the baseline of every figure of earnings.",
        f"With shuffled labels every row's outcome is drawn anew from those of all days, {SHUFFLES} times; what "
        "logistic regression then finds is held against the same outcomes in any other order, at a level that lets all "
        f"{tests} such tests of this page together cry wolf with a chance of {FALSE_ALARMS:.0%}.",
    )
    return f"```sh\n{setting.command}\n```\n\n" + " ".join(said)


def _taught(setting: Setting) -> str:
    moves = [name for name in setting.families if target_of(family(name), setting.target) == "move"]
    if not moves:
        return "All families are taught the class."
    return (
        f"Taught the move of mid in bps: {', '.join(moves)}; the class: "
        f"{', '.join(name for name in setting.families if name not in moves) or 'none'}. A class is read from a move "
        "beyond a cut that makes flat as frequent as on the first day tested; R² is against expecting no move."
    )


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


def _section(section: Section, leaks: bool) -> str:
    study = section.study
    shown = {each.name: each for each in study.results}
    shown |= {f"baseline: {each.name}": each for each in study.baselines}
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
        f"Controls: with shuffled labels logistic regression {_control(study.control, leaks)}; "
        f"a column made from the future is {leak}. Chosen on the first days: "
        + "; ".join(section.configurations.values())
        + ".",
    ]
    return "\n\n".join(parts)


def _control(control: Control, leaks: bool) -> str:
    said = "FINDS SOMETHING: the evaluation leaks" if leaks else "finds nothing"
    names = {"mcc": "MCC", "information_coefficient": "information coefficient"}
    each = ", ".join(
        f"{names[name]} {value:.3g}, p {control.p_values[name]:.2g}" for name, value in control.values.items()
    )
    return f"{said} ({each})"


def _trading(shown: dict[str, Result]) -> list[str]:
    trading = {name: each for name, each in shown.items() if each.metrics["trades"].value}
    if not trading:
        return ["No threshold paid its costs on the first day tested: neither a family nor a baseline trades."]
    idle = ", ".join(name for name in shown if name not in trading)
    said = "The rule with the threshold that paid best on the first day tested; bps, Sharpe ratios a period"
    return [said + (f" ({idle}: no trade):" if idle else ":"), _table(trading, _RULE)]


def _table(shown: dict[str, Result], columns: dict[str, str]) -> str:
    measured = {key for each in shown.values() for key, found in each.metrics.items() if found.value is not None}
    columns = {key: said for key, said in columns.items() if key in measured}
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
