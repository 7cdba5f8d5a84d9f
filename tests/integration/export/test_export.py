"""The journal and posted outcomes to stores and buses: everything, at least once, whatever is killed in between."""

import json
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from support.cli import one_line, start_ringcraft
from support.influxdb3 import InfluxDouble
from support.journals import JournalWriter, SyntheticWorker, harmful
from support.kafka_mock import KafkaMock
from support.redis_server import RedisServer

from data_contracts.errors import StoreError, StoreUnavailableError
from data_contracts.journal import RecordType
from data_contracts.messages import DecisionMessage, OutcomeMessage
from data_contracts.outcome import PostedOutcome
from market_data.buses.in_process import InProcessBus
from market_data.buses.kafka import KafkaBus
from market_data.buses.zeromq import ZeroMqSubscription
from market_data.stores.influxdb_writer import InfluxAddress, client_of
from market_data.stores.latest import InProcessLatest
from market_data.stores.redis_latest import RedisLatest
from serving.export.exporter import Exporter
from serving.export.sinks import BusSink, LatestSink
from serving.export.teller import Told
from serving.outcomes.sql_store import SqlOutcomeStore, outcome_url
from serving.shared_memory import journal_folder

SYMBOL = "TEST:ONE"


def worker() -> SyntheticWorker:
    made = SyntheticWorker(harmful)
    made.writer.add(RecordType.NAME, kind=1, name_index=0)
    spelled: JournalWriter = made.writer
    spelled.records[-1] = spelled.records[-1][:24] + SYMBOL.encode().ljust(104, b"\0")
    made.adopt()
    return made


def journal(state: Path, decisions: int) -> SyntheticWorker:
    made = worker()
    made.decide(decisions)
    made.finish()
    made.writer.append_to(journal_folder(state, "worker-0"))
    return made


def spooled(state: Path) -> int:
    """Return how many bytes wait for InfluxDB."""
    folder = state / "export" / "influxdb-journal"
    last = max(folder.glob("*.spool"))
    return int(last.stem) + last.stat().st_size - int((folder / "position").read_text())


class Recorder:
    """A sink that keeps what it is told, and fails when asked to."""

    name = "recorder"

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.failures = 0

    def tell(self, told: Sequence[Told]) -> None:
        self.told += told
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("asked to fail")

    def idle(self) -> None: ...
    def settle(self, timeout_s: float) -> None: ...
    def close(self) -> None: ...

    def decisions(self) -> list[int]:
        return [one.message.decision_id for one in self.told if isinstance(one.message, DecisionMessage)]


def test_every_decision_and_mark_out_is_told_with_names_once(tmp_path: Path) -> None:
    journal(tmp_path, 300)
    sink = Recorder()
    exporter = Exporter(tmp_path, sink)
    assert exporter.catch_up() == 600
    assert sink.decisions() == list(range(1, 301))
    outcomes = [one.message for one in sink.told if isinstance(one.message, OutcomeMessage)]
    assert sorted(one.decision_id for one in outcomes) == list(range(1, 301))
    assert len({one.outcome_id for one in outcomes}) == 300
    assert {one.key for one in sink.told} == {SYMBOL}
    first = sink.told[0].message
    assert isinstance(first, DecisionMessage)
    assert (first.model, first.version, first.arm, first.instrument, first.abstain) == (
        "m",
        1,
        "champion",
        SYMBOL,
        "none",
    )
    assert exporter.catch_up() == 0


def test_it_goes_on_where_it_was_and_knows_the_names_that_were_spelled_before(tmp_path: Path) -> None:
    made = journal(tmp_path, 50)
    Exporter(tmp_path, Recorder()).catch_up()
    made.decide(50)
    made.writer.append_to(journal_folder(tmp_path, "worker-0"))
    sink = Recorder()
    Exporter(tmp_path, sink).catch_up()
    assert sink.decisions() == list(range(51, 101))
    assert {one.key for one in sink.told} == {SYMBOL}


def test_what_a_sink_did_not_take_is_told_again(tmp_path: Path) -> None:
    journal(tmp_path, 40)
    sink = Recorder()
    exporter = Exporter(tmp_path, sink)
    sink.failures = 1
    with pytest.raises(StoreUnavailableError):
        exporter.step()
    exporter.catch_up()
    assert sink.decisions() == [*range(1, 41), *range(1, 41)]
    assert exporter.catch_up() == 0


def test_posted_outcomes_are_told_with_their_decisions_instrument(tmp_path: Path) -> None:
    journal(tmp_path, 10)
    store = SqlOutcomeStore(outcome_url("", tmp_path))
    for decision in (3, 999):
        given = {"outcome_id": f"o{decision}", "decision_id": decision, "model": "m", "kind": "realised",
                 "pnl_bps": 1.5, "time_ns": 7}  # fmt: skip
        store.add([msgspec.convert(given, PostedOutcome)], ["accepted"], 1)
    sink = Recorder()
    Exporter(tmp_path, sink, outcomes=store).catch_up()
    posted = [one for one in sink.told if isinstance(one.message, OutcomeMessage) and one.message.kind == "realised"]
    assert [(one.key, one.message.decision_id, one.message.pnl_bps) for one in posted] == [
        (SYMBOL, 3, 1.5), ("unknown", 999, 1.5)]  # fmt: skip
    again = Recorder()
    Exporter(tmp_path, again, outcomes=store).catch_up()
    assert again.told == []


def test_a_damaged_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "recorder.json").write_text("{")
    with pytest.raises(StoreError, match=r"recorder\.json: .*remove it to tell everything again"):
        Exporter(tmp_path, Recorder())


def test_the_defaults_need_no_server(tmp_path: Path) -> None:
    journal(tmp_path, 20)
    bus, latest = InProcessBus(), InProcessLatest()
    following = bus.subscribe(["decisions"])
    Exporter(tmp_path, BusSink("bus", bus)).catch_up()
    Exporter(tmp_path, LatestSink("latest", latest)).catch_up()
    assert [one.message.decision_id for one in following.poll(0)] == list(range(1, 21))
    kept = latest.get("decision", f"m/{SYMBOL}")
    assert kept is not None
    assert kept.value.decision_id == 20


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[InfluxDouble]:
    double = InfluxDouble(tmp_path / "influx").start()
    yield double
    double.kill()


def test_the_command_tells_all_of_them_across_kills_of_it_and_of_the_servers(
    tmp_path: Path, influx: InfluxDouble, redis: RedisServer
) -> None:
    made = journal(tmp_path / "state", 200)
    kafka = KafkaMock()
    kafka.create("t")
    zeromq = f"ipc://{tmp_path}/bus"
    (tmp_path / "ringcraft.toml").write_text(
        f'state_dir = "{tmp_path}/state"\n[influxdb]\nurl = "{influx.url}"\ntoken = "{influx.token}"\n'
        f'[redis]\nurl = "{redis.url}"\n[kafka]\nservers = "{kafka.servers}"\nprefix = "t"\n'
        f'[zeromq]\naddress = "{zeromq}"\n'
    )
    following, reader = ZeroMqSubscription(zeromq, ["decisions"]), RedisLatest(redis.url)

    def newest() -> int:
        try:
            kept = reader.get("decision", f"m/{SYMBOL}")
        except StoreUnavailableError:
            return 0
        return kept.value.decision_id if kept else 0

    def place(sink: str) -> int:
        path = tmp_path / "state" / "export" / f"{sink}.json"
        return json.loads(path.read_bytes())["record"] if path.exists() else 0

    def wait(met: object, what: str) -> None:
        end = time.monotonic() + 60
        while not met():
            following.poll(0.02)
            assert time.monotonic() < end, f"{what}\n{(tmp_path / 'log').read_text()}"

    child = start_ringcraft("export", cwd=tmp_path, log=tmp_path / "log")
    wait(lambda: newest() == 200, "redis")
    influx.kill()
    redis.kill()
    kafka.down()
    made.decide(100)
    made.finish()
    made.writer.append_to(journal_folder(tmp_path / "state", "worker-0"))
    wait(lambda: place("zeromq") == len(made.writer.records), "zeromq is held up by nobody")
    child.kill()
    child.wait()
    redis.start()
    kafka.up()
    influx.start()
    child = start_ringcraft("export", cwd=tmp_path, log=tmp_path / "log")
    wait(lambda: newest() == 300, "redis")
    wait(lambda: {place(name) for name in ("kafka", "influxdb", "redis")} == {len(made.writer.records)}, "all")
    wait(lambda: not spooled(tmp_path / "state"), "what the spool holds to be sent")
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 0
    consumer = KafkaBus(kafka.servers, prefix="t").subscribe(["decisions", "outcomes"])
    told: list[object] = []
    end = time.monotonic() + 30
    while len({(type(one), one.decision_id) for one in told}) < 600 and time.monotonic() < end:
        told += [one.message for one in consumer.poll(0.2)]
    assert {one.decision_id for one in told if isinstance(one, DecisionMessage)} == set(range(1, 301))
    assert {one.decision_id for one in told if isinstance(one, OutcomeMessage)} == set(range(1, 301))
    consumer.close()

    client = client_of(InfluxAddress(url=influx.url, database="ringcraft", token=influx.token,
                                     query_port=influx.flight_port))  # fmt: skip
    for table in ("decisions", "outcomes"):  # what was in the spool when the command ended is there, or goes on waiting
        rows = client.query(f"SELECT decision_id FROM {table}", language="sql", mode="all")
        assert sorted(rows.column("decision_id").to_pylist()) == list(range(1, 301))
    client.close()
    following.close()
    kafka.close()


def test_once_tells_what_is_there_and_ends(typed: Callable[..., object], tmp_path: Path) -> None:
    journal(tmp_path / "state", 30)
    (tmp_path / "ringcraft.toml").write_text(
        f'state_dir = "{tmp_path}/state"\n[zeromq]\naddress = "ipc://{tmp_path}/bus"\n'
    )
    assert [(done.returncode, done.stdout) for done in (typed("export", "--once"), typed("export", "--once"))] == [
        (0, "zeromq: told 60 messages\n"), (0, "zeromq: told 0 messages\n")]  # fmt: skip
    refused = typed("export", "--once", "--to", "redis")
    assert (refused.returncode, one_line(refused)) == (
        2, "ringcraft: redis.url: expected where it is, in the settings, got nothing")  # fmt: skip


def test_with_nothing_set_up_it_says_what_is_wanted(typed: Callable[..., object]) -> None:
    result = typed("export", "--once")
    assert result.returncode == 2
    assert "expected at least one of influxdb.url, kafka.servers, redis.url, zeromq.address" in one_line(result)
