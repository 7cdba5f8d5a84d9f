"""The ways in which a notice goes out. Each is tried by a thread of its own, and says why it did not arrive."""

import base64
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

import msgspec
import urllib3

from serving.signature import signature_of

SECRET_VARIABLE: Final = "RINGCRAFT_NOTIFY_SECRET"  # noqa: S105  the variable's name, not its value
_TRY_AGAIN: Final = frozenset({401, 403, 404, 408, 425, 429})
"""What a receiver says that is not set up yet, or has too much to do; other 4xx are about the notice itself."""


class AwayError(Exception):
    """The receiver cannot be reached just now: the notice is kept and tried again."""


class RefusedError(Exception):
    """The receiver understood and will not have it: the notice is given up."""


class Channel(Protocol):
    """One way out."""

    name: str
    attempts_max: int | None
    """After so many tries a notice is given up; None: never."""

    def send(self, notice: Mapping[str, Any]) -> None:
        """Deliver; may take as long as its timeout.

        Raises:
            AwayError: it did not arrive, and may later.
            RefusedError: it will not be taken.
        """
        ...


class WebhookChannel:
    """POSTs the notice as JSON; signed where a secret is given."""

    name = "webhook"
    attempts_max: int | None = None

    def __init__(self, url: str, *, secret: str = "", timeout_s: float = 5.0) -> None:
        self._url, self._secret = url, secret.encode()
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=timeout_s))

    def send(self, notice: Mapping[str, Any]) -> None:
        """See Channel."""
        body, stamp = msgspec.json.encode(notice), str(int(time.time()))
        headers = {"Content-Type": "application/json", "X-Ringcraft-Delivery-Id": str(notice["id"])}
        headers["X-Ringcraft-Timestamp"] = stamp
        if self._secret:
            headers["X-Ringcraft-Signature"] = signature_of(self._secret, str(notice["id"]), stamp, body)
        _post(self._pool, self._url, body, headers)


class PrefectChannel:
    """POSTs the notice as an event to Prefect's API, where an automation can start a flow on it."""

    name = "prefect"
    attempts_max: int | None = None

    def __init__(self, api_url: str, *, timeout_s: float = 5.0) -> None:
        """Take the API's address, as PREFECT_API_URL has it; log-ins come from its client's variables."""
        self._url = f"{api_url.rstrip('/')}/events"
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=timeout_s))

    def send(self, notice: Mapping[str, Any]) -> None:
        """See Channel."""
        body = msgspec.json.encode([prefect_event(notice)])
        _post(self._pool, self._url, body, {"Content-Type": "application/json", **_prefect_login()})


def prefect_event(notice: Mapping[str, Any]) -> dict[str, Any]:
    """Return the notice as Prefect's API takes an event; a trigger may match its name, model, version or guardrail."""
    labels = {f"ringcraft.{name}": str(notice.get(name) or "") for name in ("model", "version", "guardrail")}
    model = str(notice["model"] or "tier")
    return {
        "id": notice["id"],
        "occurred": notice["occurred"],
        "event": notice["event"],
        "resource": {"prefect.resource.id": f"ringcraft.model.{model}", "prefect.resource.name": model, **labels},
        "payload": dict(notice),
    }


class CommandChannel:
    """Runs a program with the notice as JSON on its standard input; no shell is involved."""

    name = "command"
    attempts_max: int | None = 8
    """A program that fails is not away: it is tried over two minutes or so."""

    def __init__(self, command: Sequence[str], *, timeout_s: float = 30.0) -> None:
        self._command, self._timeout_s = tuple(command), timeout_s

    def send(self, notice: Mapping[str, Any]) -> None:
        """See Channel; what it started is killed with it once the time is over."""
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise RefusedError(f"{self._command[0]}: {error.strerror}") from None
        try:
            _, said = process.communicate(msgspec.json.encode(notice) + b"\n", timeout=self._timeout_s)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise AwayError(f"{self._command[0]}: took more than {self._timeout_s:g} s") from None
        if process.returncode:
            last = said.decode(errors="replace").strip().splitlines()[-1:] or ["nothing on stderr"]
            raise AwayError(f"{self._command[0]}: exit code {process.returncode}: {last[0][:300]}")


def _post(pool: urllib3.PoolManager, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    try:
        answer = pool.request("POST", url, body=body, headers=dict(headers))
    except urllib3.exceptions.HTTPError as error:
        raise AwayError(f"{url}: {error}") from None
    if 200 <= answer.status < 300:
        return
    said = " ".join(answer.data[:300].decode(errors="replace").split())
    refused = 400 <= answer.status < 500 and answer.status not in _TRY_AGAIN
    raise (RefusedError if refused else AwayError)(f"{url}: HTTP {answer.status}: {said}")


def _prefect_login() -> dict[str, str]:
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if user_and_password := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(user_and_password.encode()).decode()}"}
    return {}
