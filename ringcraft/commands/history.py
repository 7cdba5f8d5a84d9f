"""ringcraft history."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from data_contracts.settings import load_settings
from registry.history import HISTORY_FILE, HistoryEntry, read_history
from ringcraft.commands.options import config_option, json_option
from ringcraft.exits import NOT_SO
from ringcraft.terminal import print_json, table


@click.command()
@click.argument("model")
@click.option("--last", type=click.IntRange(min=1), default=None, help="Only so many, the newest.")
@config_option
@json_option
def history(model: str, last: int | None, config: Path | None, as_json: bool) -> None:
    """Show every alias change of MODEL that was seen or made, and the times in which nobody looked.

    It is read from the state folder; no tier need run. Exit code 1: nothing is known of MODEL.
    """
    state_dir = load_settings(config).state_dir
    entries = [entry for entry in read_history(state_dir / HISTORY_FILE) if entry.model == model]
    entries = entries[-last:] if last else entries
    if as_json:
        print_json({"model": model, "entries": msgspec.to_builtins(entries)})
    elif entries:
        columns = ("when (UTC)", "what", "from", "to", "who", "why")
        table(f"Aliases of {model}", columns, [_row(entry) for entry in entries])
    else:
        click.echo(f"{model}: nothing is known of it in {state_dir / HISTORY_FILE}")
    if not entries:
        sys.exit(NOT_SO)


def _row(entry: HistoryEntry) -> tuple[object, ...]:
    if entry.seen == "gap":
        return _time(entry.since_ns), f"nobody looked until {_time(entry.wall_ns)}", "", "", "", entry.why
    who = entry.who or "unknown (moved in MLflow)"
    why = "; ".join(text for text in (entry.why, "other moves may be missing" if entry.gap else "") if text)
    return _time(entry.wall_ns), entry.alias, _version(entry.before), _version(entry.after), who, why


def _version(version: int | None) -> str:
    return "not set" if version is None else f"v{version}"


def _time(wall_ns: int | None) -> str:
    if wall_ns is None:
        return ""
    return datetime.fromtimestamp(wall_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
