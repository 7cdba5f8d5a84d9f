"""Subscribers that are too slow, brokers that go away, publishers that start again, and messages that are none."""

import time
from collections.abc import Iterator

import msgspec
import pytest
import zmq
from support.kafka_mock import KafkaMock, nowhere
from support.told import decision, event, outcome

from data_contracts.errors import StoreError, StoreFullError, StoreUnavailableError, UsageError
from market_data.buses.codec import decode, encode
from market_data.buses.in_process import InProcessBus
from market_data.buses.kafka import KafkaBus
from market_data.buses.port import Received, Subscription
from market_data.buses.zeromq import ZeroMqBus, ZeroMqSubscription


@pytest.fixture
def cluster() -> Iterator[KafkaMock]:
    mock = KafkaMock()
    mock.create("p")
    yield mock
    mock.close()


def received(subscription: Subscription, count: int, wait_s: float = 20.0) -> list[Received]:
    found: list[Received] = []
    end = time.monotonic() + wait_s
    while len(found) < count and time.monotonic() < end:
        found += subscription.poll(0.2)
    return found


def connected(bus: ZeroMqBus) -> ZeroMqSubscription:
    following = bus.subscribe()
    while bus.subscribed < 3:
        bus.flush(1)
        time.sleep(0.005)
    return following


def test_in_this_process_a_slow_subscriber_learns_what_it_missed() -> None:
    bus = InProcessBus(queue_max=10)
    following = bus.subscribe()
    for number in range(25):
        bus.publish("events", "A" if number % 5 else "B", event(number))
    found = following.poll(0)
    assert [one.message for one in found] == [event(number) for number in range(15, 25)]
    assert following.missed.messages == 0  # what came before a subscription's first message is not known to be missed
    for number in range(25, 50):
        bus.publish("events", "A" if number % 5 else "B", event(number))
    assert len(following.poll(0)) == 10
    assert (following.missed.messages, following.missed.by_key) == (15, {"events A": 12, "events B": 3})


def test_a_slow_zeromq_subscriber_learns_what_it_missed_even_of_the_end() -> None:
    bus = ZeroMqBus("tcp://127.0.0.1:*", queue_max=50)
    following = connected(bus)
    bus.publish("events", "A", event(0))
    assert len(received(following, 1)) == 1
    count = 1_500  # of such a size, more than both ends' queues and the sockets' buffers between them hold
    large = msgspec.structs.replace(outcome(), outcome_id="x" * 20_000)
    for _ in range(count):
        bus.publish("events", "A", large)
    found: list[Received] = []
    end = time.monotonic() + 30
    while len(found) + following.missed.messages < count and time.monotonic() < end:
        found += following.poll(0.05)
        bus.flush(1)
    numbers = [one.sequence for one in found]
    assert following.missed.messages == count - len(found) > 0
    assert numbers == sorted(set(numbers))
    following.close()
    bus.close()


def test_a_publisher_that_starts_again_is_followed_on() -> None:
    first = ZeroMqBus("tcp://127.0.0.1:*")
    following = connected(first)
    first.publish("events", "A", event(0))
    (before,) = received(following, 1)
    address = first.address
    first.close()
    second = ZeroMqBus(address)
    while second.subscribed < 3:
        second.flush(1)
        assert following.poll(0.01) == []  # a subscriber asks again when it looks
    second.publish("events", "A", event(1))
    (after,) = received(following, 1)
    assert after.message == event(1)
    assert after.publisher != before.publisher
    assert following.missed.messages == 0
    following.close()
    second.close()


def test_kafka_loses_nothing_while_its_broker_is_away(cluster: KafkaMock) -> None:
    bus = KafkaBus(cluster.servers, prefix="p", options={"reconnect.backoff.max.ms": "200"})
    following = bus.subscribe()
    for number in range(100):
        bus.publish("decisions", f"K{number % 4}", decision(number))
    bus.flush(20)
    found = received(following, 100)  # it has joined its group
    cluster.down()
    for number in range(100, 200):
        bus.publish("decisions", f"K{number % 4}", decision(number))
    with pytest.raises(StoreUnavailableError, match="100 messages wait, 0 failed"):
        bus.flush(0.3)
    cluster.up()
    bus.flush(20)
    found += received(following, 100)
    assert sorted(one.message.decision_id for one in found) == list(range(1, 201))
    for key in range(4):
        ids = [one.message.decision_id for one in found if one.key == f"K{key}"]
        assert ids == sorted(ids)
    assert (bus.counts.delivered, bus.counts.failed, following.missed.messages) == (200, 0, 0)
    following.close()
    bus.close()


def test_kafka_subscriber_whose_first_join_was_cut_off_joins_anew() -> None:
    cluster = KafkaMock(join_ms=1_000)
    cluster.create("p")
    bus = KafkaBus(cluster.servers, prefix="p", options={"reconnect.backoff.max.ms": "200"})
    for number in range(10):
        bus.publish("decisions", "A", decision(number))
    bus.flush(20)
    following = bus.subscribe(join_timeout_s=3)
    assert following.poll(0.4) == []  # it asks to join, and the group waits for others
    cluster.down()
    assert following.poll(0.3) == []
    cluster.up()
    found = received(following, 10, wait_s=30)  # left to itself the mock cluster takes two sessions, 90 s
    assert [one.message for one in found] == [decision(number) for number in range(10)]
    assert following.missed.duplicates == 0
    following.close()
    bus.close()
    cluster.close()


def test_kafka_goes_on_where_a_group_was(cluster: KafkaMock) -> None:
    # The mock cluster waits for a member that left as long as a session lasts.
    bus = KafkaBus(cluster.servers, prefix="p", options={"session.timeout.ms": "2000", "heartbeat.interval.ms": "500"})
    for number in range(10):
        bus.publish("decisions", "A", decision(number))
    bus.flush(20)
    first = bus.subscribe(["decisions"], group="readers")
    assert len(received(first, 10)) == 10
    first.poll(0.5)  # what was returned before is done with
    first.close()
    bus.publish("decisions", "A", decision(10))
    bus.flush(20)
    second = bus.subscribe(["decisions"], group="readers")
    assert [one.message for one in received(second, 1)] == [decision(10)]
    second.close()
    bus.close()


def test_kafka_without_a_broker_is_bounded_and_says_what_failed() -> None:
    bus = KafkaBus(nowhere(), queue_max=10, full_timeout_s=0.1, delivery_timeout_s=0.5)
    for number in range(10):
        bus.publish("events", "A", event(number))
    with pytest.raises(StoreFullError, match="10 messages wait"):
        bus.publish("events", "A", event(10))
    with pytest.raises(StoreUnavailableError, match="0 messages wait, 10 failed: "):
        bus.flush(20)
    assert (bus.counts.published, bus.counts.delivered, bus.counts.failed) == (10, 0, 10)
    bus.flush(1)  # said once
    bus.close()


@pytest.mark.parametrize(
    ("header", "body", "said"),
    [
        (b"", b"", "expected 22 bytes, got 0"),
        (b"XX" + bytes(20), b"", "expected a message of this platform"),
        (b"RC\x01\x00\x63\x00" + bytes(16), b"", "expected version 1 or before, got 99"),
        (b"RC\x01\x00\x01\x00" + bytes(16), b"\xc1", "message body"),
        (b"RC\x01\x00\x01\x00" + bytes(16), b"\x80", "message body"),
    ],
)
def test_what_is_no_message_is_refused(header: bytes, body: bytes, said: str) -> None:
    with pytest.raises(StoreError, match=said):
        decode(header, body)


@pytest.mark.parametrize("encoding", ["msgpack", "json"])
def test_a_field_that_is_not_known_is_passed_over(encoding: str) -> None:
    header, body = encode(event(), encoding=encoding, publisher=1, sequence=2)
    later = {"json": body[:-1] + b',"later":[1]}', "msgpack": bytes([body[0] + 1]) + body[1:] + b"\xa1x\x01"}
    assert decode(header, later[encoding])[1] == event()
    assert len(body) < 400


def test_strangers_on_the_address_do_not_pass_as_messages() -> None:
    context = zmq.Context()
    stranger = context.socket(zmq.XPUB)
    port = stranger.bind_to_random_port("tcp://127.0.0.1")
    following = ZeroMqSubscription(f"tcp://127.0.0.1:{port}", ["events"])
    assert stranger.recv() == b"\x01events "
    stranger.send_multipart([b"events A\0", b"who", b"knows"])
    with pytest.raises(StoreError, match="message header"):
        following.poll(5)
    following.close()
    stranger.close(0)
    context.term()
    with pytest.raises(UsageError):
        ZeroMqBus("nonsense")
