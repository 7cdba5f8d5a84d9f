"""ringcraft decisions."""

import csv
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np

from data_contracts.errors import UsageError
from data_contracts.journal import Door
from data_contracts.settings import Settings, load_settings
from native._native import assignment_key
from ringcraft.commands.options import config_option, json_option
from ringcraft.terminal import moment, print_json, table
from serving.archive.query import Question, find_decisions, join_outcomes
from serving.archive.segment import Columns
from serving.outcomes.sql_store import FILE, SqlOutcomeStore, outcome_url

_SHOWN = ("decision", "event time", "model", "version", "arm", "instrument", "door", "action", "abstain", "output",
          "us", "paper bps", "realised bps", "fills")  # fmt: skip


@click.command()
@click.option("--model", help="Registered model.")
@click.option("--version", type=int, help="Of the model.")
@click.option("--arm", type=click.Choice(["champion", "challenger"]), help="Which of the two decided.")
@click.option("--instrument", help="VENUE:SYMBOL.")
@click.option("--door", type=click.Choice([one.name.lower() for one in Door]), help="By which it was asked for.")
@click.option("--key", help="The request's key.")
@click.option("--from", "begin", metavar="TIME", help="Event time UTC, inclusive: 2026-11-22 or 2026-11-22T09:30:00.")
@click.option("--to", "end", metavar="TIME", help="Event time UTC, exclusive.")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="At most; 0: all.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV on stdout.")
@click.option("--parquet", "out_file", type=click.Path(path_type=Path), help="Write them to this file.")
@config_option
@json_option
def decisions(
    model: str | None, version: int | None, arm: str | None, instrument: str | None, door: str | None,
    key: str | None, begin: str | None, end: str | None, limit: int, as_csv: bool, out_file: Path | None,
    config: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Show decisions with what came of them, newest first: of the live journal and of the archive."""
    settings = load_settings(config)
    question = Question(
        model=model,
        version=version,
        arm=arm,
        instrument=instrument,
        door=door,
        request_key=None if key is None else assignment_key(key),
        from_ns=_time(begin, "--from"),
        to_ns=_time(end, "--to"),
        limit=limit or None,
    )
    found = _with_outcomes(find_decisions(settings.state_dir, question), settings)
    if out_file is not None:
        _write_parquet(out_file, found)
    elif as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(found)
        writer.writerows(_rows(found, ""))
    elif as_json:
        print_json({"decisions": [dict(zip(found, row, strict=True)) for row in _rows(found, None)]})
    else:
        table("Decisions, newest first", _SHOWN, [_shown(row) for row in _dicts(found)])


def _with_outcomes(found: Columns, settings: Settings) -> Columns:
    url = settings.outcomes.url.get_secret_value()
    if not len(found["decision_id"]) or (not url and not (settings.state_dir / FILE).exists()):
        return found
    store = SqlOutcomeStore(outcome_url(url, settings.state_dir))
    try:
        return join_outcomes(found, store)
    finally:
        store.close()


def _write_parquet(path: Path, found: Columns) -> None:
    from serving.archive.parquet import table_of, write_verified

    if not path.parent.is_dir():
        raise UsageError(f"--parquet: {path.parent}: expected a folder, found none")
    write_verified(path, table_of(found))
    click.echo(f"wrote {len(found['decision_id']):,} decisions to {path}")


def _rows(found: Columns, nothing: str | None) -> Iterator[list[Any]]:
    lists = [values.tolist() for values in found.values()]
    for row in zip(*lists, strict=True):
        yield [nothing if isinstance(value, float) and np.isnan(value) else value for value in row]


def _dicts(found: Columns) -> Iterator[dict[str, Any]]:
    return (dict(zip(found, row, strict=True)) for row in _rows(found, None))


def _shown(row: dict[str, Any]) -> tuple[object, ...]:
    action = {1: "buy", -1: "sell"}.get(row["action"], "")
    abstain = "" if row["abstain"] == "none" else row["abstain"]
    return (str(row["decision_id"]), moment(row["event_ns"]), row["model"], str(row["version"]), row["arm"],
            row["instrument"], row["door"], action, abstain, _number(row["output_0"], "+.4g"),
            row["latency_ns"] / 1000.0, _number(row["pnl_bps"], "+.3f"), _number(row.get("realised_bps"), "+.3f"),
            row.get("fills", 0))  # fmt: skip


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _time(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    try:
        moment_of = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option}: expected a time like 2026-11-22T09:30:00, got {text!r}") from None
    aware = moment_of if moment_of.tzinfo else moment_of.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1e6) * 1000
