"""Decisions over ZeroMQ: a ROUTER that answers questions, and a PUB that tells of every decision.

Request: one JSON frame (see Ask), and a second of little-endian float32 where the rows are not in the JSON. Reply: one
JSON frame, {"error": ...} where there is no decision. Questions are answered one at a time; what one turn finds at the
socket is what is in flight. Published: topic decision.<instrument>, then JSON; a subscriber that is slow loses what its
socket cannot hold, and sees so in the decision ids, which have no holes.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import structlog
import zmq
from zmq.auth.thread import ThreadAuthenticator

from data_contracts.errors import UsageError
from serving.doors.asking import Asker, Door, RefusedError, Request
from serving.doors.decisions import DecisionFeed
from serving.doors.guard import Guard
from serving.doors.json_requests import DECODER, Ask, answer_to, decoded, reading, request_of
from serving.doors.keys import KeyRefusedError, account_of

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
    guard: Guard,
) -> None:
    """Serve until `stop` is set.

    Args:
        state_dir: of the tier.
        host: address to listen on.
        port: of requests; 0: any free.
        publish_port: of published decisions; 0: any free.
        stop: ends it.
        opened: told both ports.
        guard: of whoever asks and subscribes.

    Raises:
        UsageError: a port cannot be had.
    """
    context = zmq.Context()
    readers = {key.name: key.secret.get_secret_value() for key in guard.ring.keys if "read" in key.scopes}
    authenticator = ThreadAuthenticator(context) if guard.ring.wanted else None
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
            answering = _Answering(Asker(state_dir, Door.ZEROMQ), guard, router)
            while not stop.is_set():
                if router.poll(_POLL_MS):
                    answering.turn()
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


class _Question(NamedTuple):
    """One that was let through and waits for its answer."""

    envelope: list[bytes]
    ask: Ask
    request: Request
    held: ExitStack
    """Its place among those in flight, and its count."""


class _Answering:
    """What comes to the ROUTER, and what goes back."""

    def __init__(self, asker: Asker, guard: Guard, router: "zmq.Socket[bytes]") -> None:
        """Answer what comes to `router`."""
        self._asker, self._guard, self._router = asker, guard, router

    def turn(self) -> None:
        """Answer what lies there, at most a turn's worth: what is refused first."""
        waiting = []
        for _ in range(_TURN):
            try:
                sender, *frames = self._router.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            # A REQ socket puts an empty frame before its message, and wants it back.
            envelope = [sender, frames.pop(0)] if frames and not frames[0] else [sender]
            question = self._admitted(envelope, frames)
            if question is not None:
                waiting.append(question)
        for question in waiting:
            self._answer(question)

    def _admitted(self, envelope: list[bytes], frames: list[bytes]) -> _Question | None:
        ask: Ask | None = None
        try:
            with ExitStack() as held:
                held.enter_context(self._guard.counters.request())
                if not 1 <= len(frames) <= 2:
                    raise UsageError(f"request: expected one frame or two, got {len(frames)}")
                ask = decoded(DECODER, frames[0])
                ring = self._guard.ring
                key = ring.known(ask.api_key)
                ring.admit(key, "infer")
                request = request_of(ask, frames[1] if len(frames) == 2 else None, account=account_of(key))
                held.enter_context(self._guard.question(ask.model, ask.instrument))
                return _Question(envelope, ask, request, held.pop_all())
        except (msgspec.DecodeError, UsageError, KeyRefusedError) as error:
            self._refuse(envelope, ask, error)
        except Exception as error:
            self._fail(envelope, ask, error)
        return None

    def _answer(self, question: _Question) -> None:
        try:
            with question.held:
                self._say(question.envelope, answer_to(question.ask, self._asker.ask(question.request)))
        except RefusedError as error:
            self._refuse(question.envelope, question.ask, error)
        except Exception as error:
            self._fail(question.envelope, question.ask, error)

    def _refuse(self, envelope: list[bytes], ask: Ask | None, error: Exception) -> None:
        said = {"id": ask.id if ask else None, "error": reading(error)}
        self._say(envelope, said | ({"refused": error.why} if isinstance(error, KeyRefusedError) else {}))

    def _fail(self, envelope: list[bytes], ask: Ask | None, error: Exception) -> None:
        """Say that it was ours to know; whoever asks next is answered all the same."""
        log.exception("zeromq_question_failed", reason=str(error))
        self._say(envelope, {"id": ask.id if ask else None, "error": "the door failed; its log says why"})

    def _say(self, envelope: list[bytes], said: dict[str, Any]) -> None:
        self._router.send_multipart([*envelope, msgspec.json.encode(said)], zmq.NOBLOCK)


def _tell(state_dir: Path, publisher: "zmq.Socket[bytes]", stop: threading.Event) -> None:
    try:
        _tell_until(state_dir, publisher, stop)
    finally:
        stop.set()  # a door that tells of nothing is started anew instead


def _tell_until(state_dir: Path, publisher: "zmq.Socket[bytes]", stop: threading.Event) -> None:
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
