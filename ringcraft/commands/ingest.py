"""ringcraft ingest."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from data_contracts.settings import Settings, load_settings
from ringcraft.commands.options import config_option, json_option, source_options
from ringcraft.terminal import print_json

if TYPE_CHECKING:
    from data_contracts.recording import Recording

_STORES = ("archive", "influxdb")
_TOLD = ("kafka", "redis", "zeromq")
_FLUSH_S = 600.0


@click.command()
@source_options
@click.option(
    "--to", "names", type=click.Choice((*_STORES, *_TOLD)), multiple=True, default=("archive",), show_default=True,
    help="Repeat for more.",
)  # fmt: skip
@click.option(
    "--archive", type=click.Path(path_type=Path, file_okay=False), default=None, help="Default: stores.archive_dir."
)
@click.option("--replace", is_flag=True, help="Archive: take the place of other events of the same time.")
@click.option("--depth/--no-depth", default=True, show_default=True, help="Archive: keep the book's levels too.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Kafka, Redis, ZeroMQ: times real time; 0: flat out.",
)
@config_option
@json_option
def ingest(
    source: Path,
    format_name: str | None,
    instrument: str | None,
    names: tuple[str, ...],
    archive: Path | None,
    replace: bool,
    depth: bool,
    speed: float,
    config: Path | None,
    as_json: bool,
) -> None:
    """Bring the recording SOURCE into the archive: Parquet by day and instrument, bit for bit.

    What is there already is left as it is, so that ingesting again is safe. Wherever a SOURCE is asked for, the
    archive's folder is one: `ringcraft replay FOLDER --instrument I`. With --to its events go elsewhere too: into
    InfluxDB, to the topics of Kafka or ZeroMQ, and the newest book and features into Redis.
    """
    from market_data.reading import read_recordings

    settings = load_settings(config)
    recordings = read_recordings(source, format=format_name, instrument=instrument, depth=depth and "archive" in names)
    done: list[dict[str, Any]] = []
    for name in [one for one in _STORES if one in names]:
        done += _store(name, recordings, settings, archive or settings.stores.archive_dir, replace=replace)
    told = [one for one in _TOLD if one in names]
    if told:
        done += _tell(told, recordings, settings, speed)
    if as_json:
        print_json({"recordings": done})
        return
    for one in done:
        there = "" if one["new"] else ", there already"
        click.echo(f"{one['day']} {one['instrument']}: {one['events']:,} events to {one['to']}{there}")


def _store(
    name: str, recordings: "tuple[Recording, ...]", settings: Settings, folder: Path, *, replace: bool
) -> list[dict[str, Any]]:
    from market_data.stores.influxdb import InfluxEventStore
    from market_data.stores.parquet_archive import ParquetArchive
    from market_data.stores.port import EventStore
    from ringcraft.logs import configure_logs
    from ringcraft.sinks import influx_address, spool_of

    store: EventStore
    if name == "archive":
        store, where = ParquetArchive(folder, replace=replace), str(folder)
    else:
        configure_logs(settings.log_level)  # a server that is away is waited for, and told of on stderr
        address, most = influx_address(settings), settings.influxdb.spool_mib << 20
        # A recording may be larger than the spool: then it goes at the server's pace.
        store = InfluxEventStore(address, spool_of(settings, "recordings"), max_bytes=most, full_timeout_s=_FLUSH_S)
        where = address.url
    try:
        done = [_line(recording, where, new=store.write(recording)) for recording in recordings]
        store.flush(_FLUSH_S)
    finally:
        store.close()
    return done


def _tell(
    names: list[str], recordings: "tuple[Recording, ...]", settings: Settings, speed: float
) -> list[dict[str, Any]]:
    from market_data.feature_sets import default_feature_set
    from ringcraft.sinks import open_sinks
    from serving.export.events import tell_recording

    features = default_feature_set(recordings) if "redis" in names else None
    with ExitStack() as stack:
        sinks = open_sinks(settings, names)
        for sink in sinks:
            stack.callback(sink.close)
        for recording in recordings:
            tell_recording(recording, sinks, speed=speed, feature_set=features)
        for sink in sinks:
            sink.settle(_FLUSH_S)
    return [_line(recording, name, new=True) for name in names for recording in recordings]


def _line(recording: "Recording", to: str, *, new: bool) -> dict[str, Any]:
    from market_data.stores.parquet_archive import day_of

    symbol = recording.instrument.symbol
    return {"day": day_of(recording), "instrument": symbol, "events": len(recording), "to": to, "new": new}
