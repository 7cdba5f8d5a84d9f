"""ringcraft record."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from ringcraft.commands.options import account_option, depth_option, json_option, publish_option, refuse_idle_depth
from ringcraft.exits import DONE
from ringcraft.terminal import out, print_json

_MARKETS: Final = ("spot", "usdm", "coinm")


@click.command()
@click.argument("venue", type=click.Choice(["binance"]))
@click.argument("symbol")
@click.option("--market", "market_name", type=click.Choice(_MARKETS), default="spot", show_default=True)
@click.option("--out", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder.")
@click.option("--bus", default=None, help="Shared-memory bus that gets every event, with --depth its levels too.")
@publish_option
@depth_option
@account_option
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), default=None, help="End after so long.")
@click.option(
    "--stale-after",
    "stale_after_s",
    type=click.FloatRange(min=0, min_open=True, max=86_400),
    default=60.0,
    show_default=True,
    help="Seconds of silence after which the touch is stale.",
)
@click.option("--websocket", default=None, help="Another address of the streams: wss://HOST[:PORT].")
@click.option("--rest", default=None, help="Another address of REST: https://HOST[:PORT].")
@json_option
def record(
    venue: str,  # noqa: ARG001  one so far
    symbol: str,
    market_name: str,
    folder: Path,
    bus: str | None,
    address: str | None,
    depth: bool,
    account: str | None,
    seconds: float | None,
    stale_after_s: float,
    websocket: str | None,
    rest: str | None,
    as_json: bool,
) -> None:
    """Record SYMBOL's live feed at VENUE into a folder that replay reads; hand its events to a tier or a bus.

    Goes on over lost connections until SIGINT or SIGTERM, or --seconds.
    """
    from market_data.crypto.binance_live import BinanceLive, fetch_instrument
    from market_data.crypto.binance_markets import MARKETS
    from market_data.crypto.recorder import Recorder
    from market_data.live_publish import LivePublisher
    from market_data.shared_bus import EventBusWriter

    refuse_idle_depth(depth, address or bus, options="--publish or --bus")
    market = MARKETS[market_name]
    market = msgspec.structs.replace(market, websocket=websocket or market.websocket, rest=rest or market.rest)
    instrument = fetch_instrument(market, symbol.upper(), stale_after_s=stale_after_s)
    recorder = Recorder(folder, instrument)
    publisher = LivePublisher(address, instrument, account=account, depth=depth) if address else None
    writer = EventBusWriter(bus, (instrument,), depth=depth) if bus else None
    events = 0

    def on_events(new: Any, levels: Any) -> None:  # noqa: ANN401  arrays
        nonlocal events
        events += len(new)
        if publisher is not None:
            publisher.put(new, levels)
        if writer is not None:
            writer.write(new, levels)

    live = BinanceLive(market, instrument, recorder, on_events, depth=depth)
    if not as_json:
        out.print(f"{instrument.symbol}: recording into {folder}; Ctrl-C ends")
    try:
        asyncio.run(_until_asked(live, seconds))
    finally:
        if publisher is not None:
            publisher.close()
    answer: dict[str, Any] = {
        "instrument": instrument.symbol,
        "files": [str(path) for path in recorder.files],
        "events": events,
        "gaps": live.decoder.gaps,
        "by_type": dict(live.decoder.by_type),
        "skipped": {reason: count for reason, count in live.decoder.skipped.items() if count},
        "connection": dict(live.counts),
        "last_error": live.last_error,
    }
    if publisher is not None:
        answer["published"] = publisher.summary()
    if as_json:
        print_json(answer)
    else:
        for name, value in answer.items():
            out.print(f"{name}: {value}")
    sys.exit(DONE)


async def _until_asked(live: Any, seconds: float | None) -> None:  # noqa: ANN401  imported late
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    await live.run(stop)
