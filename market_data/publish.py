"""Sends a recording to a serving tier's feed door, paced by event time.

Frames, little-endian: u32 length of what follows, u8 kind, payload. HELLO names the instruments by position, EVENTS
carries packed market events, each with its levels where HELLO says so, END asks for a count of what was decided.
"""

import json
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Literal, Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from data_contracts.errors import MarketDataError, UsageError
from data_contracts.feed_hello import FeedHello, write_hello
from data_contracts.market_event import MarketEvents, packed
from data_contracts.recording import Recording
from market_data.merging import merged_with_depth

HELLO: Final = 1
EVENTS: Final = 2
END: Final = 3
_PREFIX: Final = struct.Struct("<IB")
_LONGEST_REPLY: Final = 1 << 20
_BATCH_EVENTS: Final = 64  # small, so that no event waits long behind others of its frame
_LONGEST_SILENCE_NS: Final = 60_000_000_000  # lunch breaks and nights are not waited for
_CONNECT_TIMEOUT_S: Final = 10.0
_SEND_TIMEOUT_S: Final = 60.0  # a busy worker holds the feed back; one that is gone must not hold it for ever
_END_TIMEOUT_S: Final = 120.0
_NAP_S: Final = 0.05
_PROGRESS_EVERY_S: Final = 0.1

OnProgress = Callable[[int, int], None]
"""Called with events sent and events in all, at most ten times a second."""


class PublishSummary(Struct, frozen=True, kw_only=True):
    """What was sent, and how well the pace was kept."""

    events: int
    decisions: int
    """As the worker counts them on this connection."""
    seconds: float
    events_per_second: float
    worst_lag_ms: float
    """Longest delay of an event behind its pace; 0 at full speed."""
    stopped: bool
    """Whether should_stop ended it."""


def publish(
    recordings: Recording | Sequence[Recording],
    address: str,
    *,
    speed: float,
    on_progress: OnProgress | None = None,
    should_stop: Callable[[], bool] | None = None,
    account: str | None = None,
    arm: Literal["champion", "challenger"] | None = None,
) -> PublishSummary:
    """Send every event in order of event time; return once the worker has decided on all of them.

    Args:
        recordings: one or several; silences over a minute are shortened to one. Where all have levels, those go too.
        address: HOST:PORT of the feed door.
        speed: seconds of event time a second; 0: as fast as the worker takes them.
        on_progress: told of progress.
        should_stop: asked between batches; True ends the feed in order.
        account: on whose behalf; decides the arm where the policy assigns by account.
        arm: ask for every decision to be this arm's; for tests, where the tier allows it, and never judged.

    Raises:
        UsageError: a bad address or speed, no event, or nobody listens there.
        MarketDataError: the worker refuses the feed, or the connection is cut.
    """
    if not speed >= 0:
        raise UsageError(f"speed: expected 0 or more, got {speed}")
    instruments, events, depth = merged_with_depth([recordings] if isinstance(recordings, Recording) else recordings)
    with Feed(address) as feed:
        feed.hello(FeedHello(instruments=tuple(instruments), account=account, arm=arm, depth=depth is not None))
        pace = _Pace(events, speed)
        sent = _send_all(feed, packed(events, depth), pace, on_progress or _ignore, should_stop or _never)
        reply = feed.end()
    seconds = pace.elapsed_s()
    return PublishSummary(
        events=sent,
        decisions=int(reply.get("decisions", 0)),
        seconds=seconds,
        events_per_second=sent / max(seconds, 1e-9),
        worst_lag_ms=pace.worst_lag_s * 1e3,
        stopped=sent < len(events),
    )


def host_and_port(address: str) -> tuple[str, int]:
    """Return what HOST:PORT says; UsageError where it is none."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise UsageError(f"address: expected HOST:PORT, got {address!r}")
    return host, int(port)


class _Pace:
    """When each event is due, in seconds from the start of our clock."""

    def __init__(self, events: MarketEvents, speed: float) -> None:
        steps = np.clip(np.diff(events["event_ns"], prepend=events["event_ns"][:1]), 0, _LONGEST_SILENCE_NS)
        self.due_s: NDArray[Any] | None = np.cumsum(steps) * 1e-9 / speed if speed > 0 else None
        self.worst_lag_s = 0.0
        self._start_s = time.monotonic()

    def elapsed_s(self) -> float:
        return time.monotonic() - self._start_s

    def ready(self, sent: int, count: int) -> int:
        """Return how many events may have gone out by now, at most a batch more than `sent`."""
        last = min(sent + _BATCH_EVENTS, count)
        if self.due_s is None:
            return last
        now_s = self.elapsed_s()
        ready = sent + int(np.searchsorted(self.due_s[sent:last], now_s, side="right"))
        if ready > sent:
            self.worst_lag_s = max(self.worst_lag_s, now_s - float(self.due_s[sent]))
        else:
            time.sleep(min(float(self.due_s[sent]) - now_s, _NAP_S))
        return ready


def _send_all(
    feed: "Feed", events: NDArray[np.uint8], pace: _Pace, on_progress: OnProgress, should_stop: Callable[[], bool]
) -> int:
    sent, told_s = 0, 0.0
    while sent < len(events) and not should_stop():
        ready = pace.ready(sent, len(events))
        if ready > sent:
            feed.send(EVENTS, events[sent:ready].tobytes())
            sent = ready
        if pace.elapsed_s() - told_s >= _PROGRESS_EVERY_S:
            told_s = pace.elapsed_s()
            on_progress(sent, len(events))
    on_progress(sent, len(events))
    return sent


class Feed:
    """One connection to a feed door; every failure is one line that names the address."""

    def __init__(self, address: str) -> None:
        self._address = address
        try:
            self._socket = socket.create_connection(host_and_port(address), timeout=_CONNECT_TIMEOUT_S)
        except OSError as error:
            raise UsageError(f"{address}: no feed door answers: {error.strerror or error}") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._readable = select.poll()  # select() knows no descriptor beyond 1023, and a door may have as many clients
        self._readable.register(self._socket, select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def hello(self, hello: FeedHello) -> None:
        """Open the feed; MarketDataError where it is refused."""
        self.send(HELLO, write_hello(hello))
        if self._reply().get("accepted") is not True:
            raise MarketDataError(f"{self._address}: expected the feed to be accepted, it was not")
        self._socket.settimeout(_SEND_TIMEOUT_S)

    def end(self) -> dict[str, Any]:
        """End the feed in order; return what the worker counted."""
        self._socket.settimeout(_END_TIMEOUT_S)
        self.send(END, b"")
        return self._reply()

    def send(self, kind: int, payload: bytes) -> None:
        """Send a frame; MarketDataError where the feed was refused or cut."""
        # The door speaks between its replies only to refuse, so anything readable now is the reason why.
        if self._readable.poll(0):
            self._refused()
        try:
            self._socket.sendall(_PREFIX.pack(len(payload) + 1, kind) + payload)
        except OSError as error:
            self._refused(error)

    def _refused(self, cause: OSError | None = None) -> None:
        self._reply()  # raises where the door gave its reason or closed
        raise MarketDataError(f"{self._address}: the feed was cut: {cause or 'unexpected reply'}") from None

    def _reply(self) -> dict[str, Any]:
        length, _ = _PREFIX.unpack(self._receive(_PREFIX.size))
        if not 1 <= length <= _LONGEST_REPLY:
            raise MarketDataError(f"{self._address}: reply: expected 1 to {_LONGEST_REPLY} bytes, got {length}")
        try:
            reply = json.loads(self._receive(length - 1))
        except ValueError:
            raise MarketDataError(f"{self._address}: reply: expected JSON") from None
        if not isinstance(reply, dict):
            raise MarketDataError(f"{self._address}: reply: expected a JSON object, got {type(reply).__name__}")
        if "error" in reply:
            raise MarketDataError(f"{self._address}: the feed was refused: {reply['error']}")
        return reply

    def _receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                part = self._socket.recv(count - len(data))
            except OSError as error:
                raise MarketDataError(f"{self._address}: the feed was cut: {error.strerror or error}") from None
            if not part:
                raise MarketDataError(f"{self._address}: the feed was cut: closed by the other side")
            data += part
        return data


def _ignore(sent: int, total: int) -> None:
    """Tell nobody."""


def _never() -> bool:
    return False
