"""Keeps what is to be told, on disk, until every channel has told it or the queue is full; the caller never waits."""

import os
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import structlog
from msgspec import Struct
from msgspec import json as mjson

from serving.notify.channels import AwayError, Channel, RefusedError

log = structlog.get_logger()

NOTICES_FILE: Final = "notices.jsonl"
_FIRST_S: Final = 0.5
_LONGEST_S: Final = 30.0
_SPENT_BYTES: Final = 1 << 18


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the file: a notice, or that a channel has nothing more to do with it."""

    number: int
    notice: dict[str, Any] | None = None
    done: str = ""


class _Waiting(Struct):
    number: int
    notice: dict[str, Any]
    channels: set[str]


class Notifier:
    """One thread for each channel; one that is away holds up no other.

    A notice goes out at least once on each channel, oldest first; its id tells a receiver that it has come before.
    """

    def __init__(self, path: Path, channels: Sequence[Channel], *, queue_max: int = 1000) -> None:
        """Read what an earlier process left to be told.

        Args:
            path: file that keeps it.
            channels: by different names; without any nothing is kept.
            queue_max: notices that wait; beyond it the oldest is given up and counted.
        """
        self.given_up = 0
        """Notices that did not arrive on some channel and are not tried any more."""
        self._path, self._channels, self._queue_max = path, tuple(channels), queue_max
        self._changed = threading.Condition()
        self._stop = False
        self._waiting = self._load()
        self._next = max((one.number for one in self._waiting), default=0) + 1
        self._file = self._rewrite() if self._channels else -1
        self._threads = [
            threading.Thread(target=self._run, args=(channel,), name=f"notify-{channel.name}", daemon=True)
            for channel in self._channels
        ]

    def start(self) -> None:
        """Begin to tell."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop; what was not told stays in the file."""
        with self._changed:
            self._stop = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(2.0)  # one that is in the middle of sending ends with the process, and sends again

    @property
    def waiting(self) -> int:
        """Notices that some channel has not told yet."""
        return len(self._waiting)

    def tell(self, event: Mapping[str, Any]) -> None:
        """Keep a notice to be told.

        Args:
            event: JSON-able; `id` (a UUID), `occurred` (ISO 8601), `event` and `model` at least.
        """
        if not self._channels:
            return
        with self._changed:
            one = _Waiting(self._next, dict(event), {channel.name for channel in self._channels})
            self._next += 1
            self._keep(Line(number=one.number, notice=one.notice))
            self._waiting.append(one)
            while len(self._waiting) > self._queue_max:
                oldest = self._waiting.popleft()
                self._lose(oldest, oldest.channels, "the queue is full")
            self._changed.notify_all()

    def _run(self, channel: Channel) -> None:
        attempts = 0
        while (one := self._next_for(channel.name)) is not None:
            try:
                channel.send(one.notice)
            except AwayError as error:
                attempts += 1
                if channel.attempts_max is None or attempts < channel.attempts_max:
                    if attempts == 1:
                        log.warning("notice_waits", channel=channel.name, reason=str(error))
                    self._pause(min(_LONGEST_S, _FIRST_S * 2.0 ** min(attempts - 1, 10)))
                    continue
                self._finish(one, channel.name, lost=str(error))
            except RefusedError as error:
                self._finish(one, channel.name, lost=str(error))
            except Exception as error:  # whatever a receiver answers, the next notice must go out
                log.exception("notice_failed", channel=channel.name)
                self._finish(one, channel.name, lost=f"{type(error).__name__}: {error}")
            else:
                self._finish(one, channel.name)
            attempts = 0

    def _next_for(self, channel: str) -> _Waiting | None:
        with self._changed:
            while not self._stop:
                one = next((one for one in self._waiting if channel in one.channels), None)
                if one is not None:
                    return one
                self._changed.wait()
        return None

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stop, seconds)

    def _finish(self, one: _Waiting, channel: str, *, lost: str = "") -> None:
        with self._changed:
            if channel not in one.channels:
                return  # given up meanwhile, the queue being full
            if lost:
                self._lose(one, {channel}, lost)
            else:
                self._keep(Line(number=one.number, done=channel))
            one.channels = one.channels - {channel}
            if not one.channels and one in self._waiting:
                self._waiting.remove(one)
            if not self._waiting and os.fstat(self._file).st_size > _SPENT_BYTES:
                os.ftruncate(self._file, 0)

    def _lose(self, one: _Waiting, channels: set[str], reason: str) -> None:
        self.given_up += 1
        log.error("notice_given_up", channels=sorted(channels), what=one.notice.get("event"), reason=reason)
        for channel in channels:
            self._keep(Line(number=one.number, done=channel))
        if channels is one.channels:
            one.channels = set()

    def _load(self) -> deque[_Waiting]:
        names = {channel.name for channel in self._channels}
        text = self._path.read_bytes() if names and self._path.exists() else b""
        found: dict[int, _Waiting] = {}
        for raw in text[: text.rfind(b"\n") + 1].splitlines():  # a crash may have cut the last line short
            line = mjson.decode(raw, type=Line)
            if line.notice is not None:
                found[line.number] = _Waiting(line.number, line.notice, set(names))
            elif line.number in found:
                found[line.number].channels.discard(line.done)
        return deque(one for one in found.values() if one.channels)

    def _rewrite(self) -> int:
        names = {channel.name for channel in self._channels}
        lines = [Line(number=one.number, notice=one.notice) for one in self._waiting]
        lines += [Line(number=one.number, done=name) for one in self._waiting for name in sorted(names - one.channels)]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        part.write_bytes(b"".join(mjson.encode(line) + b"\n" for line in lines))
        part.replace(self._path)
        return os.open(self._path, os.O_WRONLY | os.O_APPEND)

    def _keep(self, line: Line) -> None:
        try:
            os.write(self._file, mjson.encode(line) + b"\n")
            os.fsync(self._file)
        except OSError as error:  # a full disk: it is told all the same, and forgotten by a restart
            log.error("notice_not_kept", path=str(self._path), error=str(error))
