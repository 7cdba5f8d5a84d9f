"""Who may ask a door that is a process of its own: the same keys, scopes and rates as over REST.

Each door keeps its own count of a key's requests, so a key that asks by two doors has its rate at each.
"""

import hmac
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal

from data_contracts.settings import ApiKey
from serving.doors.pace import Pace

Scope = Literal["read", "infer"]
Cause = Literal["unauthenticated", "permission_denied", "rate", "in_flight"]
Why = Literal["unauthenticated", "permission_denied", "resource_exhausted"]
_BEARER: Final = "Bearer "


class KeyRefusedError(Exception):
    """Who asks may not; the message is one line for them."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause: Final = cause

    @property
    def why(self) -> Why:
        """What they are told: either limit is one of resources."""
        if self.cause == "rate" or self.cause == "in_flight":
            return "resource_exhausted"
        return self.cause


class KeyRing:
    """The keys of one door; any thread may ask it."""

    def __init__(self, keys: Sequence[ApiKey], *, clock: Callable[[], float] = time.monotonic) -> None:
        """Know `keys`; without any, everybody may do everything. `clock` gives seconds."""
        self._keys = tuple(keys)
        limited = ((key.name, key.requests_per_second) for key in keys)
        self._paces = {name: Pace(most, clock=clock) for name, most in limited if most is not None}

    @property
    def keys(self) -> tuple[ApiKey, ...]:
        """All of them."""
        return self._keys

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
            KeyRefusedError: permission_denied: its scopes do not hold `scope`; rate: it asked for more than its
                requests_per_second.
        """
        if key is None:
            return
        if scope not in key.scopes:
            raise KeyRefusedError("permission_denied", f"key {key.name}: expected one with the scope {scope}")
        if key.name in self._paces and not self._paces[key.name].take():
            limit = f"{key.requests_per_second:g} requests a second"
            raise KeyRefusedError("rate", f"key {key.name}: expected at most {limit}")


def account_of(key: ApiKey | None) -> str:
    """Return the account that a policy may assign by; empty: no key is needed."""
    return key.name if key is not None else ""


def bearer(header: str | None) -> str | None:
    """Return the secret in an Authorization header, None where there is none of that kind."""
    if header is None or header[: len(_BEARER)].lower() != _BEARER.lower():  # RFC 9110 11.1: in any case
        return None
    return header[len(_BEARER) :].strip()
