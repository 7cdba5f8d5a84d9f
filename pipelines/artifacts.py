"""What a flow run leaves in Prefect's UI: tables and plots, under keys that gather the runs of one model."""

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict
from prefect.artifacts import create_image_artifact, create_table_artifact

from data_contracts.expectations import ContractReport
from pipelines.request import TrainedVersion, TrainResult
from pipelines.steps.compress import Compressed
from pipelines.steps.tune import Tuned

_SHOWN = ("mcc", "information_coefficient", "log_loss", "net_pnl_bps")


def show_training(result: TrainResult) -> None:
    """Leave the versions with their figures, what was refused, and every version's PnL curve."""
    rows = [_row(version) for version in result.versions]
    rows += [{"family": name, "version": None, "why not": reason} for name, reason in result.refused.items()]
    about = (
        f"{result.model} on {result.instrument}: {result.learnt_rows:,} rows learnt, {result.held_out_rows:,} held out"
    )
    table("train", result.model, rows, about)
    for version in result.versions:
        picture(f"pnl {version.family}", result.model, Path(version.folder) / "plots" / "pnl_curve.png")


def show_studies(model: str, studies: Mapping[str, Tuned]) -> None:
    """Leave the best trial of each family."""
    rows = [
        {"family": name, "loss": round(done.loss, 5), "trials": len(done.trials), "config": str(done.config)}
        for name, done in studies.items()
    ]
    table("tune", model, rows, f"best configurations for {model}")


def show_compression(model: str, done: Mapping[str, Compressed]) -> None:
    """Leave what each compression trial came to."""
    rows = [
        {"family": name, "steps": ", ".join(t.candidate.steps), "bytes": t.size_bytes, "confirmed": bool(t.confirmed)}
        for name, small in done.items()
        for t in (small.choice.trials if small.choice else ())
    ]
    table("compress", model, rows, f"compression of {model}")


def show_contracts(model: str, reports: Sequence[ContractReport]) -> None:
    """Leave every rule of every contract, with what was seen."""
    rows = [
        {"of": report.source, "rule": r.rule.name, "expected": r.rule.says, "observed": r.observed, "met": r.met}
        for report in reports
        for r in report.results
    ]
    broken = sum(len(report.broken) for report in reports)
    table("contracts", model, rows, f"{len(rows)} rules on {len(reports)} tables, {broken} broken")


def show_ingested(archive: str, done: Sequence[Struct]) -> None:
    """Leave what was brought into the archive."""
    table("ingest", archive, [asdict(one) for one in done], f"recordings in {archive}")


def show_published(model: str, done: Sequence[Struct]) -> None:
    """Leave what was registered."""
    table("publish", model, [asdict(one) for one in done], f"versions of {model}")


def table(what: str, model: str, rows: list[dict[str, Any]], about: str) -> None:
    """Leave one table; an empty one says so."""
    create_table_artifact(table=rows or [{"nothing": "to show"}], key=_key(what, model), description=about)


def picture(what: str, model: str, png: Path) -> None:
    """Leave a picture, where there is one, inside the artifact itself: the UI fetches no file from here."""
    if png.is_file():
        image = "data:image/png;base64," + base64.b64encode(png.read_bytes()).decode()
        create_image_artifact(image_url=image, key=_key(what, model), description=f"{what}: {model}")


def _row(version: TrainedVersion) -> dict[str, Any]:
    figures = {name: version.metrics[name] for name in _SHOWN if name in version.metrics}
    cells = {name: _said(e.value, e.low, e.high) for name, e in figures.items()}
    if version.seeds:
        over = {name: spread for name in _SHOWN if (spread := version.seeds.held_out.get(name))}
        cells |= {f"{name}, over seeds": f"{each.low:.4g} to {each.high:.4g}" for name, each in over.items()}
    size = version.compression.compressed_bytes if version.compression else None
    return {"family": version.family, "version": version.version, "new": version.new, **cells, "bytes": size}


def _said(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:.4g}" if low is None or high is None else f"{value:.4g} ({low:.4g} to {high:.4g})"


def _key(what: str, model: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{what} {model}".lower()).strip("-")
