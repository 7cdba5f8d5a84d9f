"""Who may ask a door that is a process of its own: the same keys, scopes and rates as over REST.

Each door keeps its own count of a key's requests, so a key that asks by two doors has its rate at each.
"""

import hmac
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from data_contracts.settings import ApiKey

Scope = Literal["read", "infer"]
Why = Literal["unauthenticated", "permission_denied", "resource_exhausted"]
_BEARER: Final = "Bearer "


class KeyRefusedError(Exception):
    """Who asks may not; the message is one line for them."""

    def __init__(self, why: Why, message: str) -> None:
        super().__init__(message)
        self.why = why


@dataclass
class _Bucket:
    """A second's worth of requests at once."""

    tokens: float
    at_s: float


class KeyRing:
    """The keys of one door; any thread may ask it."""

    def __init__(self, keys: Sequence[ApiKey], *, clock: Callable[[], float] = time.monotonic) -> None:
        """Know `keys`; without any, everybody may do everything. `clock` gives seconds."""
        self._keys = tuple(keys)
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets = {key.name: _Bucket(_most(key), clock()) for key in keys}

    @property
    def wanted(self) -> bool:
        """Whether a key is needed."""
        return bool(self._keys)

    def known(self, secret: str | None) -> ApiKey | None:
        """Return whose secret it is; None where no key is needed.

        Raises:
            KeyRefusedError: unauthenticated: nobody's, or none came.
        """
        if not self._keys:
            return None
        if not secret:
            raise KeyRefusedError("unauthenticated", "key: expected a secret of serving.api_keys, got none")
        found = None
        for key in self._keys:  # all of them, so that time does not tell which
            if hmac.compare_digest(secret.encode(), key.secret.get_secret_value().encode()):
                found = key
        if found is None:
            raise KeyRefusedError("unauthenticated", "key: expected a secret of serving.api_keys, got another")
        return found

    def admit(self, key: ApiKey | None, scope: Scope) -> None:
        """Let one request of a known key pass.

        Raises:
            KeyRefusedError: permission_denied: its scopes do not hold `scope`; resource_exhausted: it asked for more
                than its requests_per_second.
        """
        if key is None:
            return
        if scope not in key.scopes:
            raise KeyRefusedError("permission_denied", f"key {key.name}: expected one with the scope {scope}")
        if key.requests_per_second is not None and not self._take(key, key.requests_per_second):
            limit = f"{key.requests_per_second:g} requests a second"
            raise KeyRefusedError("resource_exhausted", f"key {key.name}: expected at most {limit}")

    def _take(self, key: ApiKey, per_second: float) -> bool:
        with self._lock:
            bucket, now_s = self._buckets[key.name], self._clock()
            bucket.tokens = min(_most(key), bucket.tokens + (now_s - bucket.at_s) * per_second)
            bucket.at_s = now_s
            if bucket.tokens < 1.0:
                return False
            bucket.tokens -= 1.0
            return True


def bearer(header: str | None) -> str | None:
    """Return the secret in an Authorization header, None where there is none of that kind."""
    return header[len(_BEARER) :].strip() if header and header.startswith(_BEARER) else None


def _most(key: ApiKey) -> float:
    return max(1.0, key.requests_per_second or 1.0)
