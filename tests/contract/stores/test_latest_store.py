"""What every store of latest values does: in this process, and in a real Redis, by one suite."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.redis_server import RedisServer
from support.told import NOW_NS, decision, deep_event, event, features

from data_contracts.errors import StoreError, StoreUnavailableError
from market_data.stores.latest import Entry, InProcessLatest, Latest, LatestStore, Value
from market_data.stores.redis_latest import RedisLatest

Open = Callable[..., LatestStore]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    started = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield started
    started.kill()


@pytest.fixture(params=["in-process", "redis"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "in-process":
        return InProcessLatest
    redis: RedisServer = request.getfixturevalue("server")
    return lambda **options: RedisLatest(redis.url, prefix=tmp_path.name, **options)


@pytest.fixture
def store(open_store: Open) -> Iterator[LatestStore]:
    opened = open_store()
    yield opened
    opened.close()


def book(number: int = 0, instrument: str = "TEST:ONE") -> Entry:
    return Entry(kind="book", key=instrument, value=event(number, instrument))


def value_of(latest: Latest | None) -> Value | None:
    return latest and latest.value


def test_each_kind_comes_back_as_it_was_put(store: LatestStore) -> None:
    entries = [
        book(),
        Entry(kind="features", key="TEST:ONE", value=features()),
        Entry(kind="decision", key="m/TEST:ONE", value=decision()),
    ]
    assert store.put(entries) == 3
    for entry in entries:
        assert value_of(store.get(entry.kind, entry.key)) == entry.value
    assert store.get("book", "TEST:NONE") is None
    assert store.get("decision", "TEST:ONE") is None


def test_staleness_is_stamped(store: LatestStore) -> None:
    before = time.time_ns()
    store.put([book(3)])
    latest = store.get("book", "TEST:ONE")
    assert latest is not None
    assert before <= latest.written_ns <= time.time_ns()
    assert latest.age_ns(NOW_NS + 10) == 7
    assert latest.written_age_ns(latest.written_ns + 5) == 5


def test_an_older_event_never_takes_the_place_of_a_newer_one(store: LatestStore) -> None:
    assert store.put([book(5), book(9), book(7)]) >= 1
    assert value_of(store.get("book", "TEST:ONE")) == event(9)
    assert store.put([book(8)]) == 0
    assert store.put([book(9), book(1, "TEST:TWO")]) == 2
    assert value_of(store.get("book", "TEST:ONE")) == event(9)


def test_a_book_is_kept_with_its_levels(store: LatestStore) -> None:
    assert store.put([Entry(kind="book", key="TEST:ONE", value=deep_event(3))]) == 1
    assert value_of(store.get("book", "TEST:ONE")) == deep_event(3)


def test_many_are_put_and_got_at_once(store: LatestStore) -> None:
    names = [f"TEST:{number}" for number in range(1_200)]
    assert store.put([book(number, name) for number, name in enumerate(names)]) == 1_200
    found = store.get_many("book", [*names, "TEST:NONE"])
    assert [value_of(one) for one in found] == [event(number, name) for number, name in enumerate(names)] + [None]
    assert store.get_many("book", []) == []
    assert store.put([]) == 0


def test_a_value_is_gone_when_its_time_is_over(open_store: Open) -> None:
    store = open_store(ttl_s=0.05)
    store.put([book(9)])
    time.sleep(0.08)
    assert store.get("book", "TEST:ONE") is None
    assert store.put([book(1)]) == 1  # nothing newer is known any more
    store.close()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """One to kill."""
    one = RedisServer(tmp_path / "redis").start()
    yield one
    one.kill()


def test_a_redis_that_was_killed_has_everything_again_after_the_next_value(redis: RedisServer) -> None:
    store, reader = RedisLatest(redis.url), RedisLatest(redis.url)
    store.put([book(number, f"TEST:{number}") for number in range(10)])
    redis.kill()
    with pytest.raises(StoreUnavailableError, match=str(redis.port)):
        store.put([book(20, "TEST:0")])
    with pytest.raises(StoreUnavailableError):
        reader.get("book", "TEST:5")
    redis.start()
    assert reader.get("book", "TEST:5") is None
    store.put([book(21, "TEST:0")])
    assert value_of(reader.get("book", "TEST:5")) == event(5, "TEST:5")
    assert value_of(reader.get("book", "TEST:0")) == event(21, "TEST:0")


def test_what_others_wrote_and_wrong_addresses_are_refused(server: RedisServer) -> None:
    store = RedisLatest(server.url, prefix="strange")
    store._redis.set("strange:book:x", b"nonsense")
    with pytest.raises(StoreError, match="expected a value that a writer here wrote"):
        store.get("book", "x")
    store._redis.set("strange:book:y", f"{1:020d}{1:020d}{99:04d}".encode())
    with pytest.raises(StoreError, match="expected version 1 or before, got 99"):
        store.get("book", "y")
    store.close()
    with pytest.raises(StoreError, match=r"stores\.redis\.url"):
        RedisLatest("http://localhost")


def test_a_password_is_never_shown(server: RedisServer) -> None:
    with pytest.raises(StoreUnavailableError) as refusal:
        RedisLatest("redis://:hidden@127.0.0.1:1/0").get("book", "x")
    assert "hidden" not in str(refusal.value)


def test_a_read_takes_less_than_a_millisecond(server: RedisServer) -> None:
    """At the median: on a busy machine the tail belongs to the scheduler."""
    store = RedisLatest(server.url, prefix="speed")
    store.put([book()])
    times = []
    for _ in range(500):
        start = time.perf_counter()
        store.get("book", "TEST:ONE")
        times.append(time.perf_counter() - start)
    store.close()
    assert sorted(times)[250] < 1e-3
