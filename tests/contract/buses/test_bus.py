"""What every bus does: in this process, ZeroMQ, and Kafka on librdkafka's mock cluster, by one suite."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from support.kafka_mock import KafkaMock
from support.told import decision, deep_event, event, outcome

from data_contracts.messages import TOPICS, Topic
from market_data.buses.in_process import InProcessBus
from market_data.buses.kafka import KafkaBus
from market_data.buses.port import Bus, Received, Subscription
from market_data.buses.zeromq import ZeroMqBus

WAIT_S = 20.0
Subscribe = Callable[..., Subscription]


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaMock]:
    mock = KafkaMock()
    yield mock
    mock.close()


@pytest.fixture(params=["in-process", "zeromq", "zeromq-json", "kafka"])
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bus]:
    opened: Bus
    if request.param == "in-process":
        opened = InProcessBus()
    elif request.param == "kafka":
        mock: KafkaMock = request.getfixturevalue("cluster")
        prefix = tmp_path.name.replace("[", "-").replace("]", "")
        mock.create(prefix)
        opened = KafkaBus(mock.servers, prefix=prefix)
    else:
        opened = ZeroMqBus("tcp://127.0.0.1:*", encoding="json" if request.param == "zeromq-json" else "msgpack")
    yield opened
    opened.close()


@pytest.fixture
def subscribe(bus: Bus) -> Iterator[Subscribe]:
    """Opens subscriptions that are known to be there before anything is published."""
    opened: list[Subscription] = []

    def open_one(topics: Sequence[Topic] = TOPICS, keys: Sequence[str] = ()) -> Subscription:
        expected = len(topics) * (len(keys) + 1 if keys else 1)
        expected += bus.subscribed if isinstance(bus, ZeroMqBus) else 0
        opened.append(bus.subscribe(topics, keys))
        end = time.monotonic() + WAIT_S
        while isinstance(bus, ZeroMqBus) and bus.subscribed < expected:
            bus.flush(1)
            assert time.monotonic() < end
            time.sleep(0.005)
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def received(subscription: Subscription, count: int) -> list[Received]:
    found: list[Received] = []
    end = time.monotonic() + WAIT_S
    while len(found) < count and time.monotonic() < end:
        found += subscription.poll(0.2)
    return found


def test_each_kind_of_message_arrives_as_it_was_published(bus: Bus, subscribe: Subscribe) -> None:
    following = subscribe()
    told: list[tuple[Topic, object]] = [("events", event()), ("decisions", decision()), ("outcomes", outcome())]
    for topic, message in told:
        bus.publish(topic, "TEST:ONE", message)
    bus.flush(WAIT_S)
    found = received(following, 3)
    assert sorted((one.topic, one.key, one.sequence) for one in found) == [
        (topic, "TEST:ONE", 1) for topic in ("decisions", "events", "outcomes")
    ]
    assert {one.topic: one.message for one in found} == dict(told)
    assert (bus.counts.published, bus.counts.delivered, bus.counts.failed) == (3, 3, 0)
    assert following.missed.messages == 0


def test_levels_arrive_with_their_event(bus: Bus, subscribe: Subscribe) -> None:
    following = subscribe()
    bus.publish("events", "TEST:ONE", deep_event(1))
    bus.publish("events", "TEST:ONE", event(2))
    bus.flush(WAIT_S)
    assert [one.message for one in received(following, 2)] == [deep_event(1), event(2)]


def test_a_key_is_in_order_and_numbered_without_holes(bus: Bus, subscribe: Subscribe) -> None:
    following = subscribe()
    names = ["TEST:ONE", "TEST:TWO", "TEST:naïve"]
    for number in range(300):
        bus.publish("events", names[number % 3], event(number, names[number % 3]))
    bus.flush(WAIT_S)
    found = received(following, 300)
    for place, name in enumerate(names):
        ours = [one for one in found if one.key == name]
        assert [one.sequence for one in ours] == list(range(1, 101))
        assert [one.message for one in ours] == [event(number, name) for number in range(place, 300, 3)]
    assert following.missed.messages == 0


def test_only_what_was_asked_for_arrives(bus: Bus, subscribe: Subscribe) -> None:
    following = subscribe(["decisions"], ["TEST:ONE"])
    for key in ("TEST:ONE", "TEST:ONE2", "TEST:O"):
        bus.publish("events", key, event(0, key))
        bus.publish("decisions", key, decision(0, key))
    bus.publish("decisions", "TEST:ONE", decision(1))
    bus.flush(WAIT_S)
    assert [one.message for one in received(following, 2)] == [decision(0), decision(1)]
    assert following.poll(0.05) == []


def test_each_subscription_gets_everything(bus: Bus, subscribe: Subscribe) -> None:
    first, second = subscribe(), subscribe(["outcomes"])
    for number in range(20):
        bus.publish("outcomes", "TEST:ONE", outcome(number))
    bus.flush(WAIT_S)
    for following in (first, second):
        assert [one.message for one in received(following, 20)] == [outcome(number) for number in range(20)]


def test_with_nobody_there_publishing_goes_on(bus: Bus) -> None:
    for number in range(1_000):
        bus.publish("events", "TEST:ONE", event(number))
    bus.flush(WAIT_S)
    assert bus.counts.delivered == 1_000


def test_a_poll_takes_no_more_than_asked_and_no_longer(bus: Bus, subscribe: Subscribe) -> None:
    following = subscribe()
    start = time.monotonic()
    assert following.poll(0.05) == []
    assert time.monotonic() - start < 5
    for number in range(10):
        bus.publish("events", "TEST:ONE", event(number))
    bus.flush(WAIT_S)
    found = []
    end = time.monotonic() + WAIT_S
    while len(found) < 10 and time.monotonic() < end:
        part = following.poll(0.2, limit=3)
        assert len(part) <= 3
        found += part
    assert [one.message for one in found] == [event(number) for number in range(10)]
