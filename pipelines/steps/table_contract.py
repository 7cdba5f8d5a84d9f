"""Holding features, labels and the training set against their contracts before anything is learnt from them."""

from pathlib import Path
from typing import NoReturn

import numpy as np
import polars as pl

from data_contracts.errors import QuarantinedError
from data_contracts.expectations import ContractReport
from data_contracts.quarantine import as_html, as_markdown, write_bad_rows
from data_contracts.table_expectations import check_table, rows_against
from data_contracts.table_limits import KINDS, Kind
from models.dataset import Dataset
from models.windows import Windows
from pipelines.steps.dataset import MIN_ROWS, Prepared


def hold_rows_to_contract(prepared: Prepared, root: Path, *, window: int = 1) -> tuple[ContractReport, ...]:
    """Return the report of every table if all rows keep to their contracts.

    Args:
        prepared: the rows.
        root: above quarantine/.
        window: vectors that a row looks back on; over 1, all that are looked at are held against the features' limits.

    Raises:
        QuarantinedError: one table does not; report and rows lie under `root`/quarantine.
    """
    rows = pl.concat([frame_of(prepared.learn), frame_of(prepared.held_out)])
    symbol, reports = prepared.instrument.symbol, []
    for kind in KINDS:
        frame = rows if kind != "features" or window == 1 else _looked_at(prepared, window)
        report = check_table(
            kind, frame, prepared.features, source=f"{kind} of {symbol}", instrument=symbol, min_rows=MIN_ROWS
        )
        if not report.met:
            _set_aside(kind, frame, report, root)
        reports.append(report)
    return tuple(reports)


def frame_of(rows: Dataset) -> pl.DataFrame:
    """Return the columns that the rules name, features under their own; no copy of what lies column by column."""
    features = {name: rows.features[:, index] for index, name in enumerate(rows.names)}
    steps = np.diff(rows.event_ns, prepend=rows.event_ns[:1])
    shares = np.bincount(rows.classes, minlength=3) / max(len(rows), 1)
    return pl.DataFrame(
        features
        | {
            "class": rows.classes,
            "buy_pnl_bps": rows.buy_pnl_bps,
            "sell_pnl_bps": rows.sell_pnl_bps,
            "event_step_ns": steps,
            "reach_ns": rows.end_ns - rows.event_ns,
        }
    ).with_columns(pl.lit(float(share)).alias(f"share_{one}") for one, share in enumerate(shares))


def _looked_at(prepared: Prepared, window: int) -> pl.DataFrame:
    places = np.concatenate([prepared.learn.places, prepared.held_out.places])
    vectors = Windows(prepared.learn.vectors, places, window).past()
    return pl.DataFrame({name: vectors[:, index] for index, name in enumerate(prepared.learn.names)})


def _set_aside(kind: Kind, frame: pl.DataFrame, report: ContractReport, root: Path) -> NoReturn:
    folder = root / "quarantine" / f"{kind} of {report.instrument.replace(':', ' ')}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(as_markdown(report))
    (folder / "report.html").write_text(as_html(report))
    write_bad_rows(folder, [rows_against(frame, result.rule) for result in report.broken])
    rules = tuple(f"expected {result.rule.says}, got {result.observed}" for result in report.broken)
    raise QuarantinedError(report.source, rules=rules, folder=folder)
