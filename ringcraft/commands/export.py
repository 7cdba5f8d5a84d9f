"""ringcraft export."""

import threading
from pathlib import Path

import click

from data_contracts.settings import load_settings
from ringcraft.commands.options import config_option

_SINKS = ("influxdb", "kafka", "redis", "zeromq")


@click.command()
@click.option("--to", "names", type=click.Choice(_SINKS), multiple=True, help="Repeat for more; default: all set up.")
@click.option("--events", "bus", default=None, help="Shared-memory bus whose market events are told too.")
@click.option("--once", is_flag=True, help="End when everything that is there now was told.")
@config_option
def export(names: tuple[str, ...], bus: str | None, once: bool, config: Path | None) -> None:
    """Tell stores and buses what the tier of these settings decides and what that earns, until Ctrl-C.

    It reads the journal and the posted outcomes; the tier goes on without it. Each store or bus is told everything at
    least once, in order, from where it was: the places are kept in the state folder, under export/. Market events
    of a bus (see docs/transport.md) are told as they come.
    """
    from market_data.shared_bus import EventBusReader
    from ringcraft.logs import configure_logs
    from ringcraft.sinks import open_sinks
    from serving.export.exporter import Exporter
    from serving.outcomes.sql_store import SqlOutcomeStore, outcome_url
    from serving.worker import stop_on_signals

    settings = load_settings(config)
    configure_logs(settings.log_level)
    state_dir = settings.state_dir.resolve()
    stop = threading.Event() if once else stop_on_signals()
    store = SqlOutcomeStore(outcome_url(settings.outcomes.url.get_secret_value(), state_dir))
    sinks = open_sinks(settings, names)
    try:
        exporters = [
            Exporter(state_dir, sink, outcomes=store, events=EventBusReader(bus, goes_over=True) if bus else None)
            for sink in sinks
        ]
        if once:
            for exporter in exporters:
                click.echo(f"{exporter.sink.name}: told {exporter.catch_up():,} messages")
            return
        threads = [threading.Thread(target=one.run, args=(stop,), name=one.sink.name) for one in exporters]
        for thread in threads:
            thread.start()
        stop.wait()
        for thread in threads:
            thread.join()
    finally:
        stop.set()
        for sink in sinks:
            sink.close()
        store.close()
