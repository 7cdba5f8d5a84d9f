"""Speaks to a running tier's console over HTTP."""

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from data_contracts.errors import MissingDependencyError, UsageError
from data_contracts.settings import Settings
from serving.console.snapshot import Snapshot

_TIMEOUT_S = 5.0


class RefusedError(UsageError):
    """The tier understood and will not do it as things stand."""


class Console(NamedTuple):
    """Where it is, and by whom its certificate is signed: None, by one of whom the system trusts."""

    url: str
    authority: Path | None = None


def console_of(settings: Settings) -> Console:
    """Return the console: where the running tier says it is, else where settings put it."""
    note = Path(settings.state_dir) / "supervisor.json"
    try:
        url = json.loads(note.read_bytes()).get("console_url")
    except (OSError, ValueError):
        url = None
    tls = settings.serving.console_tls
    return Console((url or settings.serving.console_url()).rstrip("/"), tls.authority if tls else None)


def read_snapshot(console: Console) -> Snapshot:
    """Return what the controller knows.

    Raises:
        MissingDependencyError: nothing answers there.
    """
    return msgspec.json.decode(_request(console, "/api/snapshot"), type=Snapshot)


def command(console: Console, model: str, verb: str, *, dry_run: bool, why: str, who: str) -> dict[str, Any]:
    """Ask the tier to promote, roll back, pause or resume `model`; return its answer.

    Raises:
        RefusedError: as things stand it will not, and says why.
        UsageError: it does not know the model.
        MissingDependencyError: nothing answers there.
    """
    body = json.dumps({"dry_run": dry_run, "why": why, "who": who}).encode()
    answer: dict[str, Any] = json.loads(_request(console, f"/api/models/{quote(model, safe='')}/{verb}", body))
    return answer


def _request(console: Console, path: str, body: bytes | None = None) -> bytes:
    url = console.url + path
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})  # noqa: S310  http or https
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=_trust(console)) as reply:  # noqa: S310
            content: bytes = reply.read()
            return content
    except urllib.error.HTTPError as error:
        text = _error_text(error.read()) or f"{url}: HTTP {error.code}"
        raise (RefusedError(text) if error.code == 409 else UsageError(text)) from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise MissingDependencyError(
            f"no serving tier answers at {url}: {reason}; `ringcraft serve` starts one"
        ) from None


def _trust(console: Console) -> ssl.SSLContext | None:
    if not console.url.startswith("https:"):
        return None
    try:
        return ssl.create_default_context(cafile=console.authority)
    except OSError as error:
        said = error.strerror or error
        raise UsageError(
            f"serving.console_tls.authority: expected certificates in {console.authority}, got: {said}"
        ) from None


def _error_text(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        return ""
    return str(answer.get("error") or answer.get("text") or "")
