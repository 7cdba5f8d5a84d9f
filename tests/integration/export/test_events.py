"""Market events of recordings and of the shared-memory bus, to the archive, stores and buses."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from support.cli import environment
from support.events import recording
from support.kafka_mock import nowhere
from support.redis_server import RedisServer

from data_contracts.messages import EventMessage
from market_data.buses.in_process import InProcessBus
from market_data.feature_sets import TOUCH_V1
from market_data.features import compute_features
from market_data.reading import read_recordings
from market_data.shared_bus import EventBusReader, EventBusWriter
from market_data.simulator import simulate
from market_data.stores.latest import InProcessLatest
from market_data.stores.redis_latest import RedisLatest
from serving.export.events import tell_recording
from serving.export.exporter import Exporter
from serving.export.sinks import BusSink, LatestSink


def test_every_event_of_a_recording_is_told_and_the_newest_book_and_features_kept() -> None:
    told = recording(2_500)
    bus, latest = InProcessBus(), InProcessLatest()
    following = bus.subscribe(["events"])
    tell_recording(told, [BusSink("bus", bus), LatestSink("latest", latest)])
    found = [one.message for one in following.poll(0, limit=10_000)]
    assert len(found) == 2_500
    for name in ("event_ns", "sequence", "bid_ticks", "ask_lots", "trade_lots", "flags"):
        assert [getattr(one, name) for one in found] == told.events[name].tolist()
    kept = latest.get("book", told.instrument.symbol)
    assert kept is not None
    assert kept.value == found[-1]


def test_live_events_of_the_shared_bus_are_told_as_they_come(tmp_path: Path) -> None:
    source = recording(300)
    name = f"test-{os.getpid()}-{tmp_path.name}"
    writer = EventBusWriter(str(tmp_path / name), (source.instrument,))
    bus = InProcessBus()
    following = bus.subscribe(["events"])
    exporter = Exporter(tmp_path, BusSink("bus", bus), events=EventBusReader(str(tmp_path / name)))
    writer.write(source.events)
    while exporter.step():
        pass
    found = [one.message for one in following.poll(0)]
    assert [one.sequence for one in found if isinstance(one, EventMessage)] == source.events["sequence"].tolist()


def test_live_events_go_on_when_the_feed_is_begun_again_with_other_instruments(tmp_path: Path) -> None:
    source, name = recording(30), str(tmp_path / "bus")
    first = EventBusWriter(name, (source.instrument,))
    bus = InProcessBus()
    following = bus.subscribe(["events"])
    exporter = Exporter(tmp_path, BusSink("bus", bus), events=EventBusReader(name, goes_over=True))
    first.write(source.events)
    exporter.step()
    del first
    other = msgspec.structs.replace(source.instrument, symbol="OTHER:ONE")
    levels = np.arange(1_200, dtype=np.int64).reshape(30, 4, 10)
    EventBusWriter(name, (other,), depth=True).write(source.events, levels)
    for _ in range(3):
        exporter.step()
    found = following.poll(0)
    assert [one.key for one in found] == [source.instrument.symbol] * 30 + ["OTHER:ONE"] * 30
    told = [one.message.levels for one in found if isinstance(one.message, EventMessage)]
    assert told[:30] == [None] * 30
    assert np.array_equal(np.array(told[30:]), levels)


def test_ingest_brings_exchange_bytes_into_archive_and_redis(
    typed: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, redis: RedisServer
) -> None:
    simulate(tmp_path / "day.itch50", seconds=60, seed=3)
    (tmp_path / "ringcraft.toml").write_text(f'[redis]\nurl = "{redis.url}"\n[stores]\narchive_dir = "kept"\n')
    done = typed("ingest", "day.itch50", "--to", "archive", "--to", "redis", "--json")
    assert done.returncode == 0, done.stderr
    lines = json.loads(done.stdout)["recordings"]
    assert [(line["to"], line["new"]) for line in lines] == [("kept", True), ("redis", True)]
    again = typed("ingest", "day.itch50")
    assert again.stdout.endswith("there already\n")

    (source,) = read_recordings(tmp_path / "day.itch50", depth=True)
    (kept,) = read_recordings(tmp_path / "kept", depth=True)
    assert kept.fingerprint == source.fingerprint
    reader, symbol = RedisLatest(redis.url), source.instrument.symbol
    book, features = reader.get("book", symbol), reader.get("features", symbol)
    assert book is not None
    assert book.event_ns == source.events["event_ns"][-1]
    matrix, ready = compute_features(source, TOUCH_V1)
    assert ready[-1]
    assert features is not None
    assert features.value.names == tuple(TOUCH_V1.features)
    assert np.array_equal(np.array(features.value.values, np.float32), matrix[-1])


def test_ingest_says_on_standard_error_that_it_waits_for_a_server(tmp_path: Path) -> None:
    simulate(tmp_path / "day.itch50", seconds=5, seed=3)
    (tmp_path / "ringcraft.toml").write_text(f'[influxdb]\nurl = "http://{nowhere()}"\n')
    command = [sys.executable, "-m", "ringcraft.cli", "ingest", "day.itch50", "--to", "influxdb", "--json"]
    waiting = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    assert waiting.stderr is not None
    told = json.loads(waiting.stderr.readline())
    waiting.send_signal(signal.SIGINT)
    printed, _ = waiting.communicate(timeout=30)
    assert (told["event"], printed, waiting.returncode) == ("influxdb_unreachable", "", 130)


def test_ingest_into_what_is_not_set_up_is_refused(
    typed: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    simulate(tmp_path / "day.itch50", seconds=5, seed=3)
    for name, where in (("influxdb", "url"), ("kafka", "servers")):
        refused = typed("ingest", "day.itch50", "--to", name)
        assert refused.returncode == 2
        assert f"{name}.{where}: expected where it is, in the settings, got nothing" in refused.stderr
