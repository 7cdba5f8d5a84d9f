"""ringcraft ingest."""

from pathlib import Path

import click

from data_contracts.settings import load_settings
from ringcraft.commands.options import config_option, json_option, source_options
from ringcraft.terminal import print_json


@click.command()
@source_options
@click.option(
    "--archive", type=click.Path(path_type=Path, file_okay=False), default=None, help="Default: stores.archive_dir."
)
@click.option("--replace", is_flag=True, help="Take the place of recordings that hold other events of the same time.")
@click.option("--depth/--no-depth", default=True, show_default=True, help="Keep the book's levels too.")
@config_option
@json_option
def ingest(
    source: Path,
    format_name: str | None,
    instrument: str | None,
    archive: Path | None,
    replace: bool,
    depth: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Bring the recording SOURCE into the archive: Parquet by day and instrument, bit for bit.

    What is there already is left as it is, so that ingesting again is safe. Wherever a SOURCE is asked for, the
    archive's folder is one: `ringcraft replay FOLDER --instrument I`.
    """
    from market_data.reading import read_recordings
    from market_data.stores.parquet_archive import ParquetArchive, day_of

    folder = archive or load_settings(config).stores.archive_dir
    store = ParquetArchive(folder, replace=replace)
    days = []
    for recording in read_recordings(source, format=format_name, instrument=instrument, depth=depth):
        new = store.write(recording)
        symbol = recording.instrument.symbol
        days.append({"day": day_of(recording), "instrument": symbol, "events": len(recording), "new": new})
    if as_json:
        print_json({"archive": str(folder), "recordings": days})
        return
    for one in days:
        click.echo(
            f"{one['day']} {one['instrument']}: {one['events']:,} events{'' if one['new'] else ', there already'}"
        )
