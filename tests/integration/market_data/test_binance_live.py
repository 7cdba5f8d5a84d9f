"""The live client against a real server on loopback that keeps Binance's rules and has its accidents."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_contracts.errors import MarketDataError, UsageError
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT, BookDepths, EventFlag, MarketEvents
from market_data.crypto.backoff import Backoff
from market_data.crypto.binance_live import BinanceLive, Waits, fetch_instrument
from market_data.crypto.recorder import Recorder
from market_data.crypto.synchroniser import SyncState
from market_data.live_publish import LivePublisher
from market_data.reading import read_recordings
from market_data.shared_bus import EventBusReader
from tests.support.binance_server import BinanceServer
from tests.support.binance_venue import Venue
from tests.support.cli import one_line, ringcraft
from tests.support.feed_door import Door

RING = Instrument(symbol="X:RING", tick_size="0.01", lot_size="1", currency="USD", time_zone="UTC")
LOST = int(EventFlag.GAP | EventFlag.RESYNC)
TOUCH = ("bid_ticks", "bid_lots", "ask_ticks", "ask_lots")
SHORT = {"snapshot_every_s": 0.02, "refresh_every_s": 0.02}


def follow(
    server: BinanceServer,
    folder: Path,
    *,
    diffs: int,
    stale_after_s: float = 30.0,
    also: tuple[Callable[[MarketEvents, BookDepths | None], None], ...] = (),
    depth: bool = False,
) -> tuple[BinanceLive, MarketEvents]:
    """Follow the server until it sent so many diffs and the book is sound; return the client and its events."""
    instrument = fetch_instrument(server.market, server.venue.symbol, stale_after_s=stale_after_s)
    parts: list[MarketEvents] = []
    waits = Waits(reconnect=Backoff(first_s=0.02, most_s=0.1), snapshot=Backoff(first_s=0.02, most_s=0.1), **SHORT)

    def on_events(events: MarketEvents, levels: BookDepths | None) -> None:
        parts.append(events)
        for take in also:
            take(events, levels)

    recorder = Recorder(folder, instrument)
    live = BinanceLive(server.market, instrument, recorder, on_events, waits=waits, seed=1, depth=depth)

    faults = ("drop", "cut", "garbage", "close")
    server.may_happen = lambda: (
        live.decoder.state is SyncState.SOUND and live.decoder.gaps == sum(server.happened[each] for each in faults)
    )

    async def until_told() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(live.run(stop))
        deadline_s = time.monotonic() + 30
        while not running.done() and (server.plan or server.diffs < diffs or live.decoder.state is not SyncState.SOUND):
            assert time.monotonic() < deadline_s, (server.diffs, live.decoder.state, live.last_error)
            await asyncio.sleep(0.01)
        stop.set()
        await running

    asyncio.run(until_told())
    return live, np.concatenate(parts)


def assert_true(server: BinanceServer, events: MarketEvents) -> None:
    usable = events[(events["flags"] & (LOST | int(EventFlag.STALE))) == 0]
    assert len(usable) > 10
    for event in usable:
        assert tuple(int(event[name]) for name in TOUCH) == server.venue.touches[int(event["sequence"])]


def assert_recorded(folder: Path, live_events: MarketEvents) -> None:
    (day,) = read_recordings(folder)
    assert day.events.tobytes() == live_events.tobytes()


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_lost_diffs_and_connections_are_mended_and_the_recording_gives_the_same_events(
    tmp_path: Path, market: str
) -> None:
    plan = {20: "drop", 45: "cut", 60: "garbage", 75: "close", 90: "drop"}
    with BinanceServer(Venue(market=market), plan, refuse=2, slow_s=0.01) as server:
        live, events = follow(server, tmp_path, diffs=120)
    assert not server.plan
    assert_true(server, events)
    assert_recorded(tmp_path, events)
    assert live.counts["connections"] == server.happened["connected"] == 3
    assert live.counts["disconnects"] == 2
    assert live.counts["snapshot_failures"] == 2
    assert live.counts["snapshots"] == server.happened["snapshot"]
    assert live.decoder.gaps == 5
    assert live.decoder.skipped["bad_message"] == 1
    assert live.decoder.skipped["quote_contradicts_book"] == 0
    assert live.decoder.agreed > 0
    entered, left = live.decoder.transitions()
    resync = EventFlag.RESYNC.bit_length() - 1
    assert entered[resync] == left[resync] == 6  # at the start, and at each gap


def test_silence_is_stale_when_it_happens_and_in_the_recording_too(tmp_path: Path) -> None:
    with BinanceServer(Venue(), {20: "quiet"}, quiet_s=0.6) as server:
        live, events = follow(server, tmp_path, diffs=40, stale_after_s=0.3)
    stale = np.flatnonzero(events["flags"] & int(EventFlag.STALE))
    assert len(stale) == 1
    assert events["receive_ns"][stale[0]] - events["receive_ns"][stale[0] - 1] >= 0.29e9
    assert_recorded(tmp_path, events)
    assert live.decoder.gaps == 0


def test_market_that_outruns_a_cut_snapshot_is_fetched_anew(tmp_path: Path) -> None:
    venue = Venue(levels=1300)
    with BinanceServer(venue, {}) as server:
        instrument = fetch_instrument(server.market, venue.symbol, stale_after_s=30)
        live = BinanceLive(
            server.market,
            instrument,
            Recorder(tmp_path, instrument),
            lambda events, levels: None,
            waits=Waits(reconnect=Backoff(), snapshot=Backoff(), **SHORT),
        )

        async def outrun() -> None:
            stop = asyncio.Event()
            running = asyncio.create_task(live.run(stop))
            await until(lambda: live.decoder.state is SyncState.SOUND)
            with server._lock:
                for ticks in sorted(venue.bids)[50:]:
                    del venue.bids[ticks]
                    venue.changed.add(("b", ticks))
                    venue.last_id += 1
            await until(lambda: live.counts["snapshots"] == 2 and live.decoder.state is SyncState.SOUND)
            assert not live.decoder.outrun
            stop.set()
            await running

        asyncio.run(outrun())


async def until(condition) -> None:
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.01)


def test_unknown_symbol_and_absent_venue_are_one_line(tmp_path: Path) -> None:
    with BinanceServer(Venue(), {}) as server:
        with pytest.raises(MarketDataError, match="NOSUCH: expected a symbol with a PRICE_FILTER"):
            fetch_instrument(server.market, "NOSUCH", stale_after_s=1)
        market = server.market
    with pytest.raises(MarketDataError, match="no answer"):
        fetch_instrument(market, "RINGUSDT", stale_after_s=1)


def test_full_disk_ends_it_by_name(tmp_path: Path) -> None:
    with BinanceServer(Venue(), {}) as server:
        (tmp_path / "file").write_text("")
        with pytest.raises(UsageError, match="file: File exists"):
            follow(server, tmp_path / "file", diffs=5)


def test_command_records_until_it_is_asked_to_end(tmp_path: Path) -> None:
    with BinanceServer(Venue(), {}) as server:
        words = ["record", "binance", "ringusdt", "--out", str(tmp_path), "--json"]
        words += ["--websocket", server.market.websocket, "--rest", server.market.rest]
        command = [sys.executable, "-m", "ringcraft.cli", *words]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ)
        deadline_s = time.monotonic() + 30
        while server.diffs < 15:
            assert time.monotonic() < deadline_s
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        printed, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    answer = json.loads(printed)
    assert answer["instrument"] == "BINANCE:RINGUSDT"
    (day,) = read_recordings(tmp_path)
    assert len(day) == answer["events"]
    assert day.instrument.lot_size == "0.001"
    assert day.gaps == answer["gaps"] == 0
    assert_true(server, day.events)


def test_events_reach_a_feed_door_and_an_absent_one_delays_nothing(tmp_path: Path) -> None:
    door = Door()
    with BinanceServer(Venue(), {10: "drop"}) as server:
        instrument = fetch_instrument(server.market, "RINGUSDT", stale_after_s=30)
        there = LivePublisher(door.address, instrument, account="desk")
        absent = LivePublisher("127.0.0.1:1", instrument)
        _, events = follow(server, tmp_path, diffs=20, also=(there.put, absent.put))
        there.close()
        absent.close()
    assert door.said.account == "desk"
    assert door.said.instruments == (instrument,)
    assert door.events.tobytes() == events.tobytes()
    assert (there.sent, there.dropped) == (len(events), 0)
    assert (absent.sent, absent.dropped) == (0, len(events))
    assert "no feed door answers" in absent.last_error
    door.close()


def test_levels_reach_door_and_bus_as_replay_of_the_recording_sends_them(tmp_path: Path) -> None:
    door, bus = Door(), tmp_path / "bus"
    with BinanceServer(Venue(), {10: "drop"}) as server:
        words = [
            "record",
            "binance",
            "ringusdt",
            "--out",
            str(tmp_path / "recorded"),
            "--json",
            "--publish",
            door.address,
            "--bus",
            str(bus),
            "--depth",
        ]
        words += ["--websocket", server.market.websocket, "--rest", server.market.rest]
        command = [sys.executable, "-m", "ringcraft.cli", *words]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ)
        deadline_s = time.monotonic() + 30
        while server.diffs < 20:
            assert time.monotonic() < deadline_s
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        printed, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    door.close()
    (day,) = read_recordings(tmp_path / "recorded", depth=True)
    assert json.loads(printed)["published"] == {"sent": len(day), "dropped": 0, "connections": 1, "last_error": ""}
    assert door.said.depth
    assert door.events.tobytes() == day.events.tobytes()
    assert day.depth is not None
    assert np.array_equal(door.depth, day.depth)
    with EventBusReader(str(bus), from_oldest=True) as reader:
        events, levels = reader.read_with_depth(timeout_s=1)
        assert [each.symbol for each in reader.instruments] == [day.instrument.symbol]
    assert events.tobytes() == day.events[: len(events)].tobytes()
    assert len(events) == min(len(day), 4_096)
    assert levels is not None
    assert np.array_equal(levels, day.depth[: len(events)])
    assert np.count_nonzero(door.depth, axis=(1, 2)).max() > 20


def test_levels_that_nobody_gets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected levels beside the events, got none"):
        LivePublisher("127.0.0.1:1", RING, depth=True).put(np.zeros(1, dtype=MARKET_EVENT))
    done = ringcraft("record", "binance", "ringusdt", "--out", tmp_path, "--depth")
    assert "--depth: expected --publish or --bus too" in one_line(done)
