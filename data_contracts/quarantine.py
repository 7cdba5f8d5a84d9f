"""Setting a recording aside: what broke, which rows, in a folder a person can read."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import numpy as np

from data_contracts.errors import QuarantinedError
from data_contracts.limits import measure, rows_against
from data_contracts.recording import Recording

if TYPE_CHECKING:  # for types alone: the modules behind them take long to import
    import polars as pl

    from data_contracts.expectations import ContractReport

MAX_BAD_ROWS: Final = 1000
"""Rows written to bad_rows.csv, shared evenly by the rules that have any; bad_rows.parquet holds all."""


def quarantine(recording: Recording, report: "ContractReport", root: Path) -> NoReturn:
    """Write what broke into a folder under `root` and refuse the recording.

    The folder, named after the recording, holds report.md, report.html, bad_rows.parquet with every row and the rule
    that it broke, and bad_rows.csv (at most MAX_BAD_ROWS).

    Raises:
        QuarantinedError: always; it names the broken rules and the folder.
    """
    folder = root / "quarantine" / recording.source.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(as_markdown(report))
    (folder / "report.html").write_text(as_html(report))
    write_bad_rows(folder, _bad_rows(recording, report))
    rules = tuple(f"expected {result.rule.says}, got {result.observed}" for result in report.broken)
    raise QuarantinedError(recording.source, rules=rules, folder=folder)


def as_markdown(report: "ContractReport") -> str:
    """Return the report as Markdown: a verdict, then one row a rule."""
    lines = [f"# {Path(report.source).name}: {_verdict(report)}", "", _summary(report), ""]
    lines += ["| rule | expected | observed | met |", "|---|---|---|---|"]
    lines += [f"| {name} | {says} | {observed} | {met} |" for name, says, observed, met in _rows(report)]
    return "\n".join(lines) + "\n"


def as_html(report: "ContractReport") -> str:
    """Return the report as one self-contained page."""
    title = html.escape(f"{Path(report.source).name}: {_verdict(report)}")
    kept = "" if report.met else f"<p>Nothing is learnt from it. {_BESIDE}</p>"
    rows = "".join(
        f"<tr class={'ok' if met == 'yes' else 'bad'}>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in (name, says, observed, met))
        + "</tr>"
        for name, says, observed, met in _rows(report)
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1><p>{html.escape(_summary(report))}</p>{kept}"
        f"<table><tr><th>rule<th>expected<th>observed<th>met</tr>{rows}</table></html>\n"
    )


def _rows(report: "ContractReport") -> list[tuple[str, str, str, str]]:
    broken_first = sorted(report.results, key=lambda result: result.met)
    return [(r.rule.name.replace("_", " "), r.rule.says, r.observed, "yes" if r.met else "NO") for r in broken_first]


def _verdict(report: "ContractReport") -> str:
    broken = len(report.broken)
    return "contract met" if report.met else f"quarantined, {broken} rule{'s' if broken > 1 else ''} broken"


def _summary(report: "ContractReport") -> str:
    skipped = ", ".join(f"{reason} {count:,}" for reason, count in sorted(report.skipped.items())) or "none"
    return f"Instrument {report.instrument}, {report.events:,} events; rows left out while reading: {skipped}."


def write_bad_rows(folder: Path, found: "Sequence[pl.DataFrame]") -> None:
    """Write every bad row into bad_rows.parquet, and of each rule the first ones into bad_rows.csv.

    Args:
        folder: that is there.
        found: a table a rule with its columns rule, value and row first; equal columns.
    """
    import polars as pl

    kept = [each for each in found if len(each)]
    each_rule = MAX_BAD_ROWS // max(len(kept), 1)  # so that none is crowded out
    pl.concat(found).write_parquet(folder / "bad_rows.parquet")
    pl.concat([each.head(each_rule) for each in kept] or found).write_csv(folder / "bad_rows.csv")


def _bad_rows(recording: Recording, report: "ContractReport") -> "list[pl.DataFrame]":
    import polars as pl

    measured = measure(recording) if len(recording) else {}
    fields = [name for name in recording.events.dtype.names or () if name != "reserved"]
    found = []
    for rule in (result.rule for result in report.broken):
        column = measured.get(rule.column or "", np.zeros(0))
        rows = rows_against(rule, measured) if len(column) else np.zeros(0, dtype=np.int64)
        events = recording.events[rows]
        columns = {"value": column[rows], "row": rows} | {name: events[name] for name in fields}
        found.append(pl.DataFrame(columns).select(pl.lit(rule.name).alias("rule"), pl.all()))
    return found


_BESIDE: Final = (
    "Beside this page: bad_rows.parquet, every offending row with the rule that it broke, and bad_rows.csv, the first "
    f"of each rule (at most {MAX_BAD_ROWS:,})."
)
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2430}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #d8dee6}"
    "tr.bad td{background:#fdeaea}tr.bad td:last-child{color:#a31515;font-weight:600}tr.ok td:last-child{color:#1a6b3c}"
)
