"""ringcraft compact."""

from pathlib import Path

import click
import msgspec

from data_contracts.settings import load_settings
from ringcraft.commands.options import config_option, json_option
from ringcraft.terminal import print_json
from serving.archive.compact import compact as compact_journal
from serving.archive.retention import remove_old


@click.command()
@config_option
@json_option
def compact(config: Path | None, as_json: bool) -> None:
    """Bring closed segments of the journal into the archive: Parquet by day of event time, each file verified.

    Segments older than `archive.journal_days` are then removed, where that is set and nothing needs them any more.
    """
    settings = load_settings(config)
    done = compact_journal(settings.state_dir)
    removed = remove_old(settings.state_dir, settings.archive.journal_days)
    if as_json:
        print_json({"archived": msgspec.to_builtins(done), "removed": removed})
        return
    for line in done:
        rows = sum(file.rows for file in line.files if file.kind == "decisions")
        click.echo(f"archived {line.segment}: {line.records:,} records, {rows:,} decisions, {len(line.files)} files")
    for name in removed:
        click.echo(f"removed {name} from the journal")
    if not done and not removed:
        click.echo("nothing to do: no closed segment whose decisions are complete is left")
