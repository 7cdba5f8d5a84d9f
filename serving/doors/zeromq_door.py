"""Decisions over ZeroMQ: a ROUTER that answers questions, and a PUB that tells of every decision.

Request: one JSON frame (see Ask), and a second of little-endian float32 where the rows are not in the JSON. Reply: one
JSON frame, {"error": ...} where there is no decision. Published: topic decision.<instrument>, then JSON; a subscriber
that is slow loses what its socket cannot hold, and sees so in the decision ids, which have no holes.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
import zmq
from zmq.auth.thread import ThreadAuthenticator

from data_contracts.errors import UsageError
from data_contracts.settings import ApiKey
from serving.doors.asking import Asker, Door, RefusedError
from serving.doors.decisions import DecisionFeed
from serving.doors.json_requests import DECODER, Ask, answer_to, reading, request_of
from serving.doors.keys import KeyRefusedError, KeyRing

TOPIC: Final = "decision."
_POLL_MS: Final = 50
_MESSAGE_BYTES: Final = 1 << 20
_QUEUED: Final = 65_536
_TURN: Final = 64

log = structlog.get_logger()


def serve_zeromq(
    state_dir: Path,
    *,
    host: str,
    port: int,
    publish_port: int,
    stop: threading.Event,
    opened: Callable[[int, int], None],
    keys: Sequence[ApiKey] = (),
) -> None:
    """Serve until `stop` is set.

    Args:
        state_dir: of the tier.
        host: address to listen on.
        port: of requests; 0: any free.
        publish_port: of published decisions; 0: any free.
        stop: ends it.
        opened: told both ports.
        keys: who may ask and subscribe; none: everybody.

    Raises:
        UsageError: a port cannot be had.
    """
    context = zmq.Context()
    readers = {key.name: key.secret.get_secret_value() for key in keys if "read" in key.scopes}
    authenticator = ThreadAuthenticator(context) if keys else None
    try:
        router, publisher = context.socket(zmq.ROUTER), context.socket(zmq.PUB)
        router.setsockopt(zmq.MAXMSGSIZE, _MESSAGE_BYTES)
        publisher.setsockopt(zmq.SNDHWM, _QUEUED)
        if authenticator is not None:
            authenticator.start()
            authenticator.configure_plain(domain=TOPIC, passwords=readers)
            publisher.setsockopt(zmq.PLAIN_SERVER, 1)
            publisher.setsockopt(zmq.ZAP_DOMAIN, TOPIC.encode())
        opened(_bind(router, host, port), _bind(publisher, host, publish_port))
        teller = threading.Thread(target=_tell, args=(state_dir, publisher, stop), name="tell")
        teller.start()
        try:
            _answer(Asker(state_dir, Door.ZEROMQ), KeyRing(keys), router, stop)
        finally:
            stop.set()
            teller.join()
    finally:
        if authenticator is not None and authenticator.is_alive():
            authenticator.stop()
        context.destroy(linger=0)


def _bind(socket: "zmq.Socket[bytes]", host: str, port: int) -> int:
    try:
        if not port:
            return int(socket.bind_to_random_port(f"tcp://{host}"))
        socket.bind(f"tcp://{host}:{port}")
    except zmq.ZMQError as error:
        raise UsageError(f"ZeroMQ door: port {port} on {host}: expected a free one, got: {error.strerror}") from None
    return port


def _answer(asker: Asker, ring: KeyRing, router: "zmq.Socket[bytes]", stop: threading.Event) -> None:
    while not stop.is_set():
        if not router.poll(_POLL_MS):
            continue
        for _ in range(_TURN):
            try:
                sender, *frames = router.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            # A REQ socket puts an empty frame before its message, and wants it back.
            envelope = [sender, frames.pop(0)] if frames and not frames[0] else [sender]
            reply = msgspec.json.encode(answer_frames(asker, ring, frames))
            router.send_multipart([*envelope, reply], zmq.NOBLOCK)


def answer_frames(asker: Asker, ring: KeyRing, frames: list[bytes]) -> dict[str, Any]:
    """Return the answer to one request's frames."""
    ask: Ask | None = None
    try:
        if not 1 <= len(frames) <= 2:
            raise UsageError(f"request: expected one frame or two, got {len(frames)}")
        ask = DECODER.decode(frames[0])
        ring.admit(ring.known(ask.api_key), "infer")
        request = request_of(ask, frames[1] if len(frames) == 2 else None)
        return answer_to(ask, asker.ask(request))
    except (msgspec.DecodeError, UsageError, RefusedError) as error:
        return {"id": ask.id if ask else None, "error": reading(error)}
    except KeyRefusedError as error:
        return {"id": ask.id if ask else None, "error": reading(error), "refused": error.why}


def _tell(state_dir: Path, publisher: "zmq.Socket[bytes]", stop: threading.Event) -> None:
    feed: DecisionFeed | None = None
    while not stop.is_set():
        feed = feed or _feed(state_dir)
        if feed is None:
            stop.wait(0.2)
            continue
        for one in feed.told(feed.read(timeout_s=_POLL_MS / 1e3)):
            publisher.send_multipart([f"{TOPIC}{one.instrument}".encode(), msgspec.json.encode(one)])
        if feed.replaced:
            feed = None


def _feed(state_dir: Path) -> DecisionFeed | None:
    try:
        return DecisionFeed(state_dir)
    except UsageError:
        return None  # no worker yet
