"""The latest values in Redis: one string a key, PREFIX:KIND:KEY.

A value: event_ns as 20 digits, by which the script in the server compares; written_ns as 20 digits; the schema's
version as 4; then msgpack. A Redis that lost its memory is told everything again that is not over yet.
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import msgspec

from data_contracts.errors import MissingDependencyError, StoreError, StoreUnavailableError
from data_contracts.messages import VERSION
from market_data.stores.latest import TTL_S, VALUES, Entry, Kind, Latest, Value

_HEAD: Final = 44
_KEYS_A_CALL: Final = 500
_SCRIPT: Final = """
local known = redis.call('EXISTS', KEYS[1])
if known == 0 then redis.call('SET', KEYS[1], '1') end
local taken = 0
for place = 2, #KEYS do
  local value = ARGV[place]
  local there = redis.call('GETRANGE', KEYS[place], 0, 19)
  if there == '' or there <= string.sub(value, 1, 20) then
    redis.call('SET', KEYS[place], value, 'PX', ARGV[1])
    taken = taken + 1
  end
end
return {known, taken}
"""


class RedisLatest:
    """A LatestStore in Redis; one thread writes, any number of processes read."""

    def __init__(self, url: str, *, prefix: str = "ringcraft", ttl_s: float = TTL_S, timeout_s: float = 1.0) -> None:
        """Prepare; nothing is opened before the first call.

        Args:
            url: redis://[:PASSWORD@]HOST:PORT/DATABASE, or unix://PATH.
            prefix: of all keys.
            ttl_s: how long Redis keeps a value after it was written.
            timeout_s: the longest wait for one answer.

        Raises:
            MissingDependencyError: redis is not installed.
            StoreError: the address is none.
        """
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ModuleNotFoundError:
            raise MissingDependencyError("Redis needs its client: pip install 'ringcraft[stores]'") from None
        try:
            # A try of its own after a cut would hide that the server was away.
            self._redis: Any = redis.Redis.from_url(
                url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
            )
        except ValueError as error:
            raise StoreError(f"stores.redis.url: {error}") from None
        self._failures = (redis.RedisError, OSError)
        self._name = "{host}:{port}".format_map({"host": "redis", "port": "", **self._redis.get_connection_kwargs()})
        self._prefix, self._ttl_ms = prefix, int(ttl_s * 1000)
        self._marker = f"{prefix}:writer:{secrets.token_hex(8)}"
        """Gone from Redis, it says that all else is."""
        self._script = self._redis.register_script(_SCRIPT)
        self._written: dict[str, tuple[int, bytes]] = {}
        self._new = True
        self._decoders = {kind: msgspec.msgpack.Decoder(struct) for kind, struct in VALUES.items()}

    def put(self, entries: Sequence[Entry]) -> int:
        """See LatestStore."""
        now_ns = time.time_ns()
        values: dict[str, bytes] = {}
        for entry in entries:
            if entry.value.event_ns < 0:
                raise StoreError(f"{entry.kind} {entry.key}: expected an event time of 0 or more")
            key, raw = self._key(entry.kind, entry.key), _raw(entry.value, now_ns)
            if key not in values or values[key][:20] <= raw[:20]:
                values[key] = raw
        known, taken = self._write(values)
        lost = not known and not self._new
        for key, raw in values.items():
            if key not in self._written or self._written[key][1][:20] <= raw[:20]:
                self._written[key] = (now_ns, raw)
        oldest = now_ns - self._ttl_ms * 1_000_000
        self._written = {key: one for key, one in self._written.items() if one[0] > oldest}
        if lost:
            self._write({key: raw for key, (_, raw) in self._written.items()})
        self._new = False
        return taken

    def get(self, kind: Kind, key: str) -> Latest | None:
        """See LatestStore."""
        with self._reached():
            raw = self._redis.get(self._key(kind, key))
        return self._latest(kind, raw)

    def get_many(self, kind: Kind, keys: Sequence[str]) -> list[Latest | None]:
        """See LatestStore."""
        with self._reached():
            found = self._redis.mget([self._key(kind, key) for key in keys]) if keys else []
        return [self._latest(kind, raw) for raw in found]

    def close(self) -> None:
        """See LatestStore."""
        with suppress(*self._failures):
            self._redis.delete(self._marker)
        self._redis.close()

    def _write(self, values: dict[str, bytes]) -> tuple[bool, int]:
        """Return whether Redis still knew this writer, and how many values it took."""
        known, taken, items = True, 0, list(values.items())
        with self._reached():
            for start in range(0, len(items), _KEYS_A_CALL):
                part = items[start : start + _KEYS_A_CALL]
                keys, raws = [key for key, _ in part], [raw for _, raw in part]
                was_known, took = self._script([self._marker, *keys], [self._ttl_ms, *raws])
                known, taken = known and bool(was_known), taken + took
        return known, taken

    def _key(self, kind: Kind, key: str) -> str:
        return f"{self._prefix}:{kind}:{key}"

    def _latest(self, kind: Kind, raw: bytes | None) -> Latest | None:
        if raw is None:
            return None
        try:
            event_ns, written_ns, version = int(raw[:20]), int(raw[20:40]), int(raw[40:_HEAD])
            if version > VERSION:
                raise StoreError(f"{self._name}: {kind}: expected version {VERSION} or before, got {version}")
            value: Value = self._decoders[kind].decode(raw[_HEAD:])
        except (ValueError, msgspec.DecodeError) as error:
            raise StoreError(f"{self._name}: {kind}: expected a value that a writer here wrote: {error}") from None
        return Latest(value=value, event_ns=event_ns, written_ns=written_ns)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except self._failures as error:
            raise StoreUnavailableError(f"{self._name}: {' '.join(str(error).split())[:300]}") from None


def _raw(value: Value, now_ns: int) -> bytes:
    return f"{value.event_ns:020d}{now_ns:020d}{VERSION:04d}".encode() + msgspec.msgpack.encode(value)
