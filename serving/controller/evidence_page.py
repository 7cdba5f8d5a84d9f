"""The evidence behind the end of a rollout, for a person: one HTML file that needs nothing else."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from serving.controller.plot import NARROW, Line, Mark, line_chart

_VERDICTS: Final = {"promoted": "good", "rolled_back": "bad", "refused": "bad"}
_GUARDS: Final = {
    "pnl": ("PnL", "at 1 the version comes off"),
    "latency": ("Latency", "at 1 the version comes off"),
    "errors": ("Errors", "at 1 the version comes off"),
    "promotion": ("Promotion", "at 1 it may become champion"),
}
_EVIDENCE_RANGE: Final = (-1.25, 1.25)


def evidence_page(document: dict[str, Any]) -> str:
    """Return the page.

    Args:
        document: what `serving.controller.evidence.evidence_document` says, as it is kept beside the page.
    """
    ended, series = document["ended"], document.get("series", [])
    body = "".join(
        (
            _head(document),
            _section("How the evidence grew", _evidence(document, series), _EVIDENCE_WORDS) if series else "",
            _section("PnL on paper", _paths(document, series), _PATH_WORDS) if series else "",
            _section("Latency", _latency(document), "") if document.get("arms") else "",
            _section("Counts", _counts(document), ""),
            _section("How soon", _table(("what", "when"), _reaction(document)), _REACTION_WORDS),
            _section("Again, by yourself", _reproduce(document), ""),
            _section("Policy", _table(("value", "set to"), _flat(document["policy"])), _POLICY_WORDS),
        )
    )
    title = escape(f"{document['model']} version {ended['version']}: {_words(ended['verdict'])}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )


_EVIDENCE_WORDS: Final = (
    "Each guardrail is an e-process: its line is the logarithm of the e-value over that of its threshold. It acts when "
    "the line reaches 1, however often anybody looked before; below 0 the evidence speaks for the version. Lines end "
    "at the edge of the drawing where they go on beyond it."
)
_PATH_WORDS: Final = "As if each version had taken every decision of the rollout; after costs, in basis points, summed."
_REACTION_WORDS: Final = (
    "By this tier's clock, UTC. MLflow does not say when an alias was moved: no earlier than the look before the one "
    "that found it moved."
)
_STAGES: Final = (
    ("alias_seen_ns", "alias found moved"),
    ("verified_ns", "files fetched and verified"),
    ("warmed_ns", "loaded and warm in the worker"),
    ("in_shadow_ns", "in shadow, by the worker's clock"),
)
_POLICY_WORDS: Final = "By which this rollout was judged from its first decision to its last."


def _head(document: dict[str, Any]) -> str:
    ended = document["ended"]
    verdict = ended["verdict"]
    where = [f"rollout {ended['rollout_id']}", _words(ended["kind"])]
    if ended["control"] is not None:
        where.append(f"against version {ended['control']}")
    if ended["guardrail"]:
        where.append(f"on {_words(ended['guardrail'])}")
    if ended["decision"] is not None:
        where.append(f"at decision {ended['decision']:,}")
    return (
        f"<header><p class='model'>{escape(document['model'])}</p><h1>Version {ended['version']} "
        f"<span class='chip {_VERDICTS.get(verdict, 'plain')}'>{escape(_words(verdict))}</span></h1>"
        f"<p class='where'>{escape(' · '.join(where))}</p><p class='reason'>{escape(ended['reason'])}</p></header>"
    )


def _evidence(document: dict[str, Any], series: Sequence[dict[str, Any]]) -> str:
    readings = {reading["name"]: reading for reading in document.get("guardrails", ())}
    panels = []
    for name, (title, note) in _GUARDS.items():
        points = [(float(row["folded"]), row["evidence"][name]) for row in series]
        reading = readings.get(name)
        if reading is not None:
            about = f"e-value {_number(reading['e_value'])}, acts at {_number(reading['threshold'])}"
            detail = reading["detail"]
        else:
            about = f"e-value {_number(document.get('promotion_e_value'))}"
            rate = document["policy"]["rollout"]["promotion_error_rate"]
            detail = f"passes at {_number(1 / rate)}; error rate {rate:g}"
        chart = line_chart(
            [Line(title, "promotion" if name == "promotion" else "judged", points)],
            x_label="decisions judged",
            width=NARROW,
            marks=(Mark(1.0, note), Mark(0.0, "")),
            y_range=_EVIDENCE_RANGE,
        )
        panels.append(
            f"<figure><figcaption><b>{title}</b> <span>{escape(about)}</span></figcaption>{chart}"
            f"<p class='detail'>{escape(detail)}</p></figure>"
        )
    return f"<div class='grid2'>{''.join(panels)}</div>"


def _paths(document: dict[str, Any], series: Sequence[dict[str, Any]]) -> str:
    ended = document["ended"]
    lines = [
        Line(f"version {ended['control']}", "control", [(row["folded"], row["control_bps"]) for row in series]),
        Line(f"version {ended['version']}", "judged", [(row["folded"], row["judged_bps"]) for row in series]),
    ]
    return f"<figure>{_legend(lines)}{line_chart(lines, x_label='decisions judged', marks=(Mark(0.0, ''),))}</figure>"


def _latency(document: dict[str, Any]) -> str:
    ended, budget = document["ended"], document["policy"]["guardrails"]["latency"]["budget_us"]
    lines = []
    for arm in document["arms"]:
        kind = {ended["version"]: "judged", ended["control"]: "control"}.get(arm["version"])
        steps = [(float(us), 100.0 * share) for us, share in arm["latency_steps"]]
        if kind and steps:
            lines.append(Line(f"version {arm['version']}", kind, [(steps[0][0] / 1.08, 0.0), *steps], steps=True))
    chart = line_chart(
        lines,
        x_label="microseconds from the event to the answer",
        marks=(Mark(budget, f"budget {budget:g} µs", vertical=True),),
        y_range=(0.0, 100.0),
        log_x=True,
        x_text=lambda value: f"{value:g}",
        y_text=lambda value: f"{value:.0f} %",
    )
    figure = f"<figure>{_legend(lines)}{chart}<p class='detail'>Share of answers that took no longer.</p></figure>"
    columns = ("version", "arm", "decisions", "trades", "PnL bps", "on paper bps", "p50 µs", "p99 µs", "late", "failed")
    rows = [
        (
            arm["version"],
            arm["arm"],
            f"{arm['decisions']:,}",
            f"{arm['trades']:,}",
            _signed(arm["pnl_bps"]),
            _signed(arm["paper_pnl_bps"]),
            _number(arm["latency_p50_us"]),
            _number(arm["latency_p99_us"]),
            f"{arm['late']:,}",
            f"{arm['failed']:,}",
        )
        for arm in document["arms"]
    ]
    return (figure if chart else "") + _table(columns, rows)


def _counts(document: dict[str, Any]) -> str:
    counts = {_words(name): value for name, value in document.get("decisions", {}).items()}
    counts |= {"outcomes that overlap": document.get("overlap_decisions", 0)}
    counts |= {"records of the journal read": document["journal_records"]}
    return _table(("of the rollout", "count"), [(name, f"{value:,}") for name, value in counts.items()])


def _reaction(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    arrival, rollback = document.get("arrival"), document.get("rollback")
    if arrival is not None:
        yield "alias not moved before", _moment(arrival["alias_not_before_ns"])
        for field, words in _STAGES:
            yield words, _moment(arrival[field], arrival["alias_seen_ns"])
    if rollback is not None:
        yield "decisions it still took after the verdict", f"{rollback['decisions_after']:,}"
        took_us = rollback["routed_without_us"]
        yield "from the verdict to routing without it", "not known yet" if took_us is None else f"{took_us:,.0f} µs"
    if arrival is None and rollback is None:
        yield "its version", "was served already, and was not taken off"


def _moment(wall_ns: int | None, since_ns: int | None = None) -> str:
    if wall_ns is None:
        return "not known"
    moment = datetime.fromtimestamp(wall_ns / 1e9, UTC).isoformat(sep=" ", timespec="milliseconds")[:-6]
    later = f", {(wall_ns - since_ns) / 1e6:+,.0f} ms" if since_ns is not None and wall_ns != since_ns else ""
    return f"{moment}{later}"


def _reproduce(document: dict[str, Any]) -> str:
    rollout = document["ended"]["rollout_id"]
    return (
        "<pre>ringcraft judge STATE/journal</pre>"
        f"<p>folds the journal of the tier's state folder again: line {rollout} is this rollout, judged by the policy "
        f"kept in <code>journal/policies/rollout-{rollout}.json</code>, with the same verdict at the same decision. "
        "<code>--policy FILE</code> says what another policy would have done. The figures on this page lie beside it "
        f"as <code>rollout-{rollout}.json</code>.</p>"
    )


def _flat(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _flat(item, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        for number, item in enumerate(value, start=1):
            yield f"{path} {number}", ", ".join(f"{_words(name)} {_plain(cell)}" for name, cell in item.items())
    else:
        yield path, _plain(value)


def _plain(value: object) -> str:
    if value is None or value in ([], ()):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _section(title: str, content: str, words: str) -> str:
    about = f"<p class='words'>{escape(words)}</p>" if words else ""
    return f"<section><h2>{title}</h2>{about}{content}</section>"


def _legend(lines: Sequence[Line]) -> str:
    items = "".join(f"<li class='{line.kind}'>{escape(line.label)}</li>" for line in lines)
    return f"<ul class='legend'>{items}</ul>"


def _table(columns: Sequence[str], rows: Iterator[tuple[Any, ...]] | Sequence[tuple[Any, ...]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    cells = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{cells}</tbody></table></div>"


def _words(name: str) -> str:
    return name.removeprefix("limit:").replace("_", " ")


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "not known"
    if 0.001 <= abs(value) < 1e6 or value == 0.0:
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:.2g}"


def _signed(value: float | None) -> str:
    return "not a number" if value is None else f"{value:+,.1f}"


_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b2430;--soft:#5b6775;--line:#dfe4ea;--page:#f6f7f9;--card:#fff;--judged:#1f5fd0;
--control:#c2690c;--promotion:#1d7f4e;--good:#1d7f4e;--bad:#b3261e;--plain:#5b6775}
@media (prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#98a4b3;--line:#2b333e;--page:#12161c;--card:#1a2028;
--judged:#7fabff;--control:#f0a65a;--promotion:#68c795;--good:#2f8f60;--bad:#cf4a40;--plain:#5b6775}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:980px;margin:0 auto;padding:28px 20px 60px}
header,section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:20px 24px;margin:0 0 16px}
h1{font-size:26px;margin:2px 0 6px;font-weight:650}h2{font-size:16px;margin:0 0 6px;font-weight:650}
.model{margin:0;color:var(--soft);font-size:14px}.where{margin:0 0 10px;color:var(--soft)}.reason{margin:0;
font-size:17px}
.chip{display:inline-block;vertical-align:3px;margin-left:8px;padding:2px 11px;border-radius:999px;font-size:14px;
font-weight:600;color:#fff;background:var(--plain)}.chip.good{background:var(--good)}.chip.bad{background:var(--bad)}
.words,.detail{color:var(--soft);font-size:13.5px;margin:0 0 10px}.detail{margin:2px 0 0}
.grid2{display:grid;grid-template-columns:repeat(auto-fit,minmax(380px,1fr));gap:18px 26px}
figure{margin:0 0 8px}figcaption span{color:var(--soft);font-size:13.5px;margin-left:6px}
svg{display:block;width:100%;height:auto}.grid{stroke:var(--line)}
.tick,.axis{fill:var(--soft);font-size:11px}.note{fill:var(--soft);font-size:11px}
.mark{stroke:var(--soft);stroke-dasharray:4 4}.line{fill:none;stroke-width:2;stroke-linejoin:round}
.line.judged{stroke:var(--judged)}.line.control{stroke:var(--control)}.line.promotion{stroke:var(--promotion)}
.legend{list-style:none;display:flex;gap:18px;margin:0 0 2px;padding:0;font-size:13.5px}
.legend li::before{content:"";display:inline-block;width:18px;height:3px;border-radius:2px;margin-right:7px;
vertical-align:middle;background:currentColor}.legend .judged{color:var(--judged)}.legend .control{color:var(--control)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:13.5px}
th,td{text-align:left;padding:5px 14px 5px 0;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:600}tr:last-child td{border-bottom:0}
pre,code{font:13px ui-monospace,SFMono-Regular,Menlo,monospace}
pre{margin:4px 0 8px;padding:9px 12px;border:1px solid var(--line);border-radius:7px;overflow-x:auto}
"""
