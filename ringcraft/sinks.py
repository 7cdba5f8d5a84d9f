"""Opens the stores and buses that the settings name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from data_contracts.errors import UsageError
from data_contracts.settings import KafkaSettings, Settings
from market_data.buses.kafka import KafkaBus
from market_data.buses.zeromq import ZeroMqBus
from market_data.stores.influxdb_writer import InfluxAddress, LineWriter
from market_data.stores.redis_latest import RedisLatest
from serving.export.exporter import FOLDER
from serving.export.sinks import BusSink, InfluxSink, LatestSink, Sink

NAMES: Final = ("influxdb", "kafka", "redis", "zeromq")
_WHERE: Final = {"influxdb": "url", "kafka": "servers", "redis": "url", "zeromq": "address"}


def configured(settings: Settings) -> list[str]:
    """Return the names of the sinks that the settings say where to find, sorted."""
    places = {
        "influxdb": settings.influxdb.url,
        "kafka": settings.kafka.servers,
        "redis": settings.redis.url.get_secret_value(),
        "zeromq": settings.zeromq.address,
    }
    return [name for name in NAMES if places[name]]


def open_sinks(settings: Settings, names: Sequence[str] = ()) -> list[Sink]:
    """Open the sinks named; none named: all that are configured.

    Raises:
        UsageError: one is not configured, or none is.
        MissingDependencyError: a driver's library is not installed.
        StoreError: a spool is damaged, or an address or option is wrong.
    """
    there = configured(settings)
    for name in names:
        if name not in there:
            raise UsageError(f"{name}.{_WHERE[name]}: expected where it is, in the settings, got nothing")
    if not (names or there):
        wanted = ", ".join(f"{name}.{where}" for name, where in _WHERE.items())
        raise UsageError(f"settings: expected at least one of {wanted}, got none")
    opened: list[Sink] = []
    try:
        for name in sorted(set(names)) or there:
            opened.append(_open(settings, name))
    except BaseException:
        for sink in opened:
            sink.close()
        raise
    return opened


def influx_address(settings: Settings) -> InfluxAddress:
    """Return where InfluxDB is.

    Raises:
        UsageError: the settings do not say.
    """
    influx = settings.influxdb
    if not influx.url:
        raise UsageError("influxdb.url: expected where it is, in the settings, got nothing")
    token = influx.token.get_secret_value()
    return InfluxAddress(url=influx.url, database=influx.database, token=token, api=influx.api)


def spool_of(settings: Settings, what: str) -> Path:
    """Return the folder of a spool for InfluxDB."""
    return settings.state_dir / FOLDER / f"influxdb-{what}"


def _open(settings: Settings, name: str) -> Sink:
    if name == "influxdb":
        spool = spool_of(settings, "journal")
        return InfluxSink(
            name, LineWriter(influx_address(settings), spool, max_bytes=settings.influxdb.spool_mib << 20)
        )
    if name == "redis":
        redis = settings.redis
        return LatestSink(name, RedisLatest(redis.url.get_secret_value(), prefix=redis.prefix, ttl_s=redis.ttl_s))
    if name == "zeromq":
        zeromq = settings.zeromq
        return BusSink(name, ZeroMqBus(zeromq.address, encoding=zeromq.encoding, queue_max=zeromq.queue_max))
    return BusSink(name, _kafka(settings.kafka))


def _kafka(kafka: KafkaSettings) -> KafkaBus:
    options = {}
    for option in kafka.options:
        key, equals, value = option.partition("=")
        if not (key and equals):
            raise UsageError(f"kafka.options: expected NAME=VALUE, got {option!r}")
        options[key] = value
    return KafkaBus(
        kafka.servers, prefix=kafka.prefix, encoding=kafka.encoding, queue_max=kafka.queue_max, options=options
    )
