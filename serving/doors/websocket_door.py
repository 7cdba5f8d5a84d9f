"""The WebSocket door: decisions as they are taken, questions, market events in; JSON both ways.

A process over the worker's shared memory. Each subscriber reads the log of decisions at its own pace and is told what
it missed: a slow one costs nobody anything.
"""

import asyncio
import logging
import re
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from data_contracts.errors import MarketDataError, UsageError
from data_contracts.feed_hello import FeedHello
from data_contracts.settings import ApiKey
from market_data.publish import EVENTS, Feed
from serving.doors.asking import Asker, Door, RefusedError
from serving.doors.decision_log import KEPT, DecisionLog, Entry, LogReader, Missed
from serving.doors.decisions import DecisionFeed
from serving.doors.guard import Guard
from serving.doors.json_requests import answer_to, decoded, reading, request_of
from serving.doors.keys import KeyRefusedError, Scope, account_of, bearer
from serving.doors.websocket_messages import (
    DECODER,
    AskMessage,
    EndFeed,
    Events,
    Key,
    Message,
    Op,
    OpenFeed,
    Ping,
    Subscribe,
    packed_events,
)
from serving.lineup import STATUS_FILE, WorkerStatus, read_whole

_MESSAGE_BYTES: Final = 1 << 20
_UNREAD_BYTES: Final = 1 << 18
_TURN: Final = 256
_FOLLOW_S: Final = 0.05
_THREADS: Final = 8
_POLICY_VIOLATION: Final = 1008
_OWN_PAGES: Final = (None, re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?"))
"""Origins that need no key: none, so no page in a browser, or a page of this host."""
_OP: Final = b'{"op":"decision",'

log = structlog.get_logger()


def serve_websocket(
    state_dir: Path,
    *,
    host: str,
    port: int,
    stop: threading.Event,
    opened: Callable[[int], None],
    guard: Guard,
    kept: int = KEPT,
) -> None:
    """Serve until `stop` is set.

    Args:
        state_dir: of the tier.
        host: address to listen on.
        port: 0: any free.
        stop: ends it.
        opened: told the port.
        guard: of whoever asks.
        kept: decisions that a subscriber may be behind before it misses some.

    Raises:
        UsageError: the port cannot be had.
    """
    door = WebSocketDoor(state_dir, feed_host=host, guard=guard, kept=kept)
    asyncio.run(door.run(host, port, stop, opened))


class WebSocketDoor:
    """Everything that its connections share."""

    def __init__(self, state_dir: Path, *, feed_host: str, guard: Guard, kept: int = KEPT) -> None:
        """Serve what the worker of the tier in `state_dir` decides; it takes feeds on `feed_host`."""
        self.guard = guard
        self._state_dir = state_dir
        self._feed_host = "127.0.0.1" if feed_host == "0.0.0.0" else feed_host  # noqa: S104  every address has this one
        self._asker = Asker(state_dir, Door.WEBSOCKET)
        self._log = DecisionLog(kept=kept)
        self._more = asyncio.Event()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="websocket")
        # Of its own: a worker that holds a feed back holds back no question.
        self._feeding = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._feeder: Session | None = None

    async def run(self, host: str, port: int, stop: threading.Event, opened: Callable[[int], None]) -> None:
        """Serve until `stop` is set."""
        loop = asyncio.get_running_loop()
        follower = threading.Thread(target=self._follow, args=(loop, stop), name="follow")
        try:
            listener = socket.create_server((host, port))
        except OSError as error:
            wanted = f"WebSocket door: port {port} on {host}: expected a free one"
            raise UsageError(f"{wanted}, got: {error.strerror or error}") from None
        # What the system holds for a connection that does not read; each accepted one takes it over.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD_BYTES)
        follower.start()
        origins = None if self.guard.ring.wanted else _OWN_PAGES
        # A line for each that is no WebSocket would let strangers fill the log.
        logging.getLogger("websockets.server").addFilter(lambda record: record.msg != "opening handshake failed")
        async with serve(
            self._serve,
            sock=listener,
            backlog=socket.SOMAXCONN,
            max_size=_MESSAGE_BYTES,
            compression=None,
            origins=origins,
        ):
            taken: int = listener.getsockname()[1]
            opened(taken)
            log.info("websocket_door_opened", port=taken)
            await loop.run_in_executor(None, stop.wait)
        await loop.run_in_executor(None, follower.join)

    def _follow(self, loop: asyncio.AbstractEventLoop, stop: threading.Event) -> None:
        try:
            self._follow_until(loop, stop)
        finally:
            stop.set()  # a door that tells of nothing is started anew instead

    def _follow_until(self, loop: asyncio.AbstractEventLoop, stop: threading.Event) -> None:
        feed: DecisionFeed | None = None
        while not stop.is_set():
            try:
                feed = feed or DecisionFeed(self._state_dir, from_oldest=True)
            except UsageError:  # no worker yet
                stop.wait(4 * _FOLLOW_S)
                continue
            entries = [
                Entry(one.decision_id, one.model, one.instrument, _OP + msgspec.json.encode(one)[1:])
                for one in feed.told(feed.read(timeout_s=_FOLLOW_S))
            ]
            if entries:
                loop.call_soon_threadsafe(self._add, entries)
            elif feed.replaced:
                feed = None

    def _add(self, entries: list[Entry]) -> None:
        newest = self._log.newest_id
        self._log.add(entry for entry in entries if entry.decision_id > newest)
        self._more.set()
        self._more = asyncio.Event()

    async def _serve(self, connection: ServerConnection) -> None:
        session = Session(self, connection)
        try:
            await session.begin()
            async for content in connection:
                await session.take(content)
        except ConnectionClosed:
            pass
        finally:
            await session.close()

    async def off_loop(self, threads: ThreadPoolExecutor, work: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401
        """Run what may wait in a thread of its own."""
        return await asyncio.get_running_loop().run_in_executor(threads, work, *arguments)

    async def ask(self, message: AskMessage, account: str) -> dict[str, Any]:
        """Return the answer to a question."""
        question = request_of(message, account=account)
        # Before the thread that it would have to wait for.
        with self.guard.question(message.model, message.instrument):
            return answer_to(message, await self.off_loop(self._threads, self._asker.ask, question))

    def reader(self, after: int | None) -> LogReader:
        """Return a subscriber's place in the log."""
        return self._log.reader(after=after)

    @property
    def newest_id(self) -> int:
        """The last decision's id; 0: none yet."""
        return self._log.newest_id

    async def feed(self, session: "Session", work: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401
        """Run a step of the one feed that there may be, the session's.

        Raises:
            UsageError: another session feeds; the worker takes one publisher at a time.
        """
        if self._feeder not in (None, session):
            raise UsageError("feed: expected no other feed at this door, got one that has not ended")
        self._feeder = session
        return await self.off_loop(self._feeding, work, *arguments)

    def fed(self, session: "Session") -> None:
        """Let another session feed."""
        if self._feeder is session:
            self._feeder = None

    async def wait_for_more(self) -> None:
        """Return once there are newer decisions."""
        await self._more.wait()

    def open_feed(self, message: OpenFeed, account: str) -> Feed:
        """Return a connection to the worker's feed door; it waits until the worker has taken it.

        Args:
            message: who feeds what.
            account: of one that names none; empty: none.
        """
        status = read_whole(self._state_dir / "worker-0" / STATUS_FILE, WorkerStatus)
        if status is None:
            raise UsageError("feed: expected a worker, found none")
        feed = Feed(f"{self._feed_host}:{status.feed_port}")
        try:
            feed.hello(FeedHello(instruments=message.instruments, account=message.account or account or None))
        except BaseException:
            feed.close()
            raise
        return feed


class Session:
    """One connection."""

    def __init__(self, door: WebSocketDoor, connection: ServerConnection) -> None:
        """Serve `connection`."""
        self._door, self._connection = door, connection
        self._teller: asyncio.Task[None] | None = None
        self._feed: Feed | None = None
        self._key: ApiKey | None = None
        self._known = not door.guard.ring.wanted

    async def begin(self) -> None:
        """Look who it is by the handshake's header; one that is wrong ends the connection."""
        request = self._connection.request
        secret = bearer(request.headers.get("Authorization")) if request is not None else None
        if secret is None or self._known:
            return
        try:
            with self._door.guard.counters.opening():
                self._learn(secret)
        except KeyRefusedError as error:
            await self._say("error", id=None, error=str(error), refused=error.why)
            await self._connection.close(_POLICY_VIOLATION, "key")

    def _learn(self, secret: str) -> None:
        self._key = self._door.guard.ring.known(secret)
        self._known = True

    def _admit(self, scope: Scope) -> None:
        if not self._known:
            raise KeyRefusedError("unauthenticated", "key: expected a secret first, op key, got none")
        self._door.guard.ring.admit(self._key, scope)

    async def take(self, content: str | bytes) -> None:
        """Take one message; what is wrong with it is said, and the connection goes on."""
        message: Message | None = None
        try:
            with self._door.guard.counters.request():
                message = decoded(DECODER, content)
                await self._act(message)
        except (msgspec.DecodeError, UsageError, RefusedError, MarketDataError) as error:
            await self._say("error", id=getattr(message, "id", None), error=reading(error))
        except KeyRefusedError as error:
            await self._say("error", id=getattr(message, "id", None), error=str(error), refused=error.why)
        except ConnectionClosed:
            raise
        except Exception as error:
            log.exception("websocket_message_failed", reason=str(error))
            await self._say("error", id=getattr(message, "id", None), error="the door failed; its log says why")

    async def _act(self, message: Message) -> None:
        if isinstance(message, Key):
            self._learn(message.secret)
            await self._say("known", name=self._key.name if self._key else None)
        elif isinstance(message, AskMessage):
            self._admit("infer")
            await self._say("answer", **await self._door.ask(message, account_of(self._key)))
        elif isinstance(message, Subscribe):
            self._admit("read")
            await self._subscribe(message)
        elif isinstance(message, OpenFeed):
            self._admit("infer")
            self._close_feed()
            self._feed = await self._feeding(self._door.open_feed, message, account_of(self._key))
            await self._say("fed")
        elif isinstance(message, Events):
            await self._feeding(self._fed().send, EVENTS, packed_events(message.events).tobytes())
        elif isinstance(message, EndFeed):
            await self._say("ended", **await self._feeding(self._fed().end))
            self._close_feed()
        elif isinstance(message, Ping):
            await self._say("pong", id=message.id)

    async def _feeding(self, work: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401
        try:
            return await self._door.feed(self, work, *arguments)
        except BaseException:  # it is cut, or was never there: another may feed
            self._close_feed()
            raise

    def _fed(self) -> Feed:
        if self._feed is None:
            raise UsageError("events: expected a feed to be opened first, op feed")
        return self._feed

    async def _subscribe(self, message: Subscribe) -> None:
        await self._end_telling()
        reader = self._door.reader(message.after)
        await self._say("subscribed", after=message.after, newest=self._door.newest_id)
        self._teller = asyncio.create_task(self._tell(reader, message))

    async def _tell(self, reader: LogReader, wanted: Subscribe) -> None:
        try:
            while True:
                told = reader.take(_TURN)
                for one in told:
                    if isinstance(one, Missed):
                        self._door.guard.counters.missed(one.before - one.after - 1)
                        await self._say("missed", after=one.after, before=one.before)
                    elif _is_wanted(one, wanted):
                        await self._connection.send(one.content.decode())
                if told:
                    await asyncio.sleep(0)  # one that is far behind lets the others have their turns
                else:
                    await self._door.wait_for_more()
        except ConnectionClosed:
            return

    async def _say(self, op: Op, **said: Any) -> None:  # noqa: ANN401
        await self._connection.send(msgspec.json.encode({"op": op} | said).decode())

    async def _end_telling(self) -> None:
        if self._teller is not None:
            self._teller.cancel()
            await asyncio.gather(self._teller, return_exceptions=True)
            self._teller = None

    def _close_feed(self) -> None:
        if self._feed is not None:
            self._feed.close()
            self._feed = None
        self._door.fed(self)

    async def close(self) -> None:
        """Let go of everything."""
        await self._end_telling()
        self._close_feed()


def _is_wanted(entry: Entry, wanted: Subscribe) -> bool:
    of_instrument = not wanted.instruments or entry.instrument in wanted.instruments
    return of_instrument and (not wanted.models or entry.model in wanted.models)
