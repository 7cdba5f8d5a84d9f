"""ringcraft receive."""

import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from data_contracts.errors import UsageError
from ringcraft.commands.options import account_option, depth_option, json_option, publish_option, refuse_idle_depth
from ringcraft.exits import DONE
from ringcraft.parquet import refuse_missing_folder
from ringcraft.terminal import out, print_json, table

if TYPE_CHECKING:
    from data_contracts.instrument import Instrument
    from market_data.receive import Limits, OnEvents

    Run = Callable[[list[OnEvents]], dict[str, Any]]


class Tier(NamedTuple):
    """A running one that gets the events."""

    address: str
    account: str | None
    depth: bool


@click.command(
    epilog="SOURCE: udp://IPV4:PORT[,IPV4:PORT][?interface=..&busy_poll_us=..&buffer_bytes=..], pcap:FILE, "
    "shm:NAME, dpdk:ARGUMENTS (docs/transport.md)."
)
@click.argument("source")
@click.option("--instrument", "symbols", multiple=True, help="VENUE:SYMBOL of the feed; may be given again.")
@click.option(
    "--about",
    type=click.Path(path_type=Path),
    help="A <name>.instrument.json, as beside a recording: instrument and date.",
)
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="Of the feed's clock; default: today's.")
@click.option("--record", type=click.Path(path_type=Path), help="pcap file that gets every packet.")
@click.option("--book", type=click.Path(path_type=Path), help="Parquet file at the end: a row per change of the touch.")
@click.option("--bus", default=None, help="Shared-memory bus that gets every event, with --depth its levels too.")
@publish_option
@account_option
@depth_option
@click.option("--retransmit", default="", help="IPV4:PORT of a MoldUDP64 re-request server.")
@click.option("--patience-ms", type=click.IntRange(min=0), default=100, show_default=True, help="Wait for a hole.")
@click.option("--seconds", type=click.FloatRange(min=0), default=None, help="Stop then; default: at the session's end.")
@click.option("--core", type=click.IntRange(min=-1), default=-1, help="Pin the receiving thread to it; -1: to none.")
@click.option(
    "--spin-us", type=click.IntRange(min=0), default=0, help="Look again at once for so long before sleeping."
)
@click.option("--lock-memory", is_flag=True, help="Keep this process's memory from being paged out.")
@json_option
def receive(
    source: str,
    symbols: tuple[str, ...],
    about: Path | None,
    day: datetime | None,
    record: Path | None,
    book: Path | None,
    bus: str | None,
    address: str | None,
    account: str | None,
    depth: bool,
    retransmit: str,
    patience_ms: int,
    seconds: float | None,
    core: int,
    spin_us: int,
    lock_memory: bool,
    as_json: bool,
) -> None:
    """Receive a feed from SOURCE: count it, record it, build books, hand the events on. Ctrl-C ends it in order."""
    from market_data import receive as receiving

    refuse_idle_depth(depth, address or bus, options="--publish or --bus")
    if book:
        refuse_missing_folder("--book", book)
    tier = Tier(address, account, depth) if address else None
    _place(core=core, lock_memory=lock_memory)
    limits = receiving.Limits(seconds=seconds, spin_s=spin_us * 1e-6)
    if source.startswith("shm:"):
        of_packets = {"--instrument": symbols, "--about": about, "--record": record, "--bus": bus}
        for name, value in of_packets.items():
            if value:
                raise UsageError(f"{name}: goes with packets, and {source} has events")
        answer = _follow(source, limits, book, tier)
    else:
        instruments, named_day = _instruments(symbols, about)
        opened = receiving.open_source(source)
        for line in opened.refused:
            click.echo(f"ringcraft: {line}", err=True)
        if hasattr(opened, "ports"):
            click.echo(f"ringcraft: receiving on {', '.join(f'port {port}' for port in opened.ports)}", err=True)
        wanted = receiving.Wanted(
            instruments=instruments,
            day=day.date() if day else named_day,
            patience_ms=patience_ms,
            retransmit=retransmit,
            record=record,
            bus=bus,
            keep_events=bool(book or address),
            depth=depth,
        )
        answer = _with_sinks(
            instruments,
            book,
            tier,
            lambda sinks: receiving.receive(source, opened, wanted, sinks, limits),
        )
    if as_json:
        print_json(answer)
    else:
        _show(source, answer)
    sys.exit(DONE)


def _place(*, core: int, lock_memory: bool) -> None:
    from native import _native

    locked = _native.lock_memory() if lock_memory else ""
    for refused in (_native.pin_thread(core), locked, _native.no_huge_pages()):
        if refused:
            click.echo(f"ringcraft: {refused}", err=True)


def _instruments(symbols: tuple[str, ...], about: Path | None) -> "tuple[tuple[Instrument, ...], Any]":
    from market_data.formats import itch50

    beside = itch50.read_beside(about.with_name(about.name.removesuffix(".instrument.json"))) if about else None
    if about and beside is None:
        raise UsageError(f"{about}: expected an existing NAME.instrument.json")
    wanted = symbols or ((beside.instrument.symbol,) if beside else ())
    if not wanted:
        raise UsageError("--instrument: expected at least one VENUE:SYMBOL, or --about")
    named = dict.fromkeys(symbol if ":" in symbol else f"{itch50.venue_of(beside)}:{symbol}" for symbol in wanted)
    return tuple(itch50.instrument_of(beside, symbol) for symbol in named), beside.date if beside else None


def _follow(source: str, limits: "Limits", book: Path | None, tier: Tier | None) -> dict[str, Any]:
    from market_data.receive import follow
    from market_data.shared_bus import EventBusReader

    with EventBusReader(source.removeprefix("shm:")) as reader:
        click.echo(f"ringcraft: following {', '.join(each.symbol for each in reader.instruments)}", err=True)
        return _with_sinks(
            reader.instruments,
            book,
            tier,
            lambda sinks: follow(source, reader, sinks, limits, depth=tier is not None and tier.depth),
        )


def _with_sinks(
    instruments: "tuple[Instrument, ...]", book: Path | None, tier: Tier | None, run: "Run"
) -> dict[str, Any]:
    from market_data.live_publish import LivePublisher

    if book and len(instruments) != 1:
        raise UsageError(f"--book: expected one instrument, got {len(instruments)}")
    kept: list[Any] = []
    sinks: list[OnEvents] = [lambda events, _levels: kept.append(events.copy())] if book else []
    publisher = LivePublisher(tier.address, instruments, account=tier.account, depth=tier.depth) if tier else None
    if publisher:
        sinks.append(lambda events, levels: publisher.put(events.copy(), levels))
    try:
        answer: dict[str, Any] = run(sinks)
    finally:
        if publisher:
            publisher.close()
    if publisher:
        answer["published"] = publisher.summary()
    if book:
        _write_book(instruments[0], kept, book)
    return answer


def _write_book(instrument: "Instrument", kept: list[Any], path: Path) -> None:
    import numpy as np

    from data_contracts.market_event import MARKET_EVENT
    from data_contracts.recording import Recording
    from market_data.formats.touch import drop_backwards
    from market_data.replay import book_table
    from ringcraft.parquet import write_table

    events, backwards = drop_backwards(np.concatenate([np.empty(0, dtype=MARKET_EVENT), *kept]))
    skipped = {"out_of_order": backwards} if backwards else {}
    write_table(book_table([Recording(instrument=instrument, events=events, source=path, skipped=skipped)]), path)


def _show(source: str, answer: dict[str, Any]) -> None:
    rows = []
    for name, value in answer.items():
        cells = value.items() if isinstance(value, dict) else [("", value)]
        rows += [(name, what, count) for what, count in cells if count not in (0, [], "")]
    table(f"Received from {source}", ("of", "what", "count"), rows)
    if answer.get("unlisted"):
        out.print(f"never listed by the feed's directory: {', '.join(answer['unlisted'])}")
