"""Speaks to a running tier's console over HTTP."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from data_contracts.errors import MissingDependencyError, UsageError
from data_contracts.settings import Settings
from serving.console.snapshot import Snapshot

_TIMEOUT_S = 5.0


class RefusedError(UsageError):
    """The tier understood and will not do it as things stand."""


def console_url(settings: Settings) -> str:
    """Return the console's address: where the running tier says it is, else where settings put it."""
    note = Path(settings.state_dir) / "supervisor.json"
    try:
        url = json.loads(note.read_bytes()).get("console_url")
    except (OSError, ValueError):
        url = None
    return (url or f"http://{settings.serving.host}:{settings.serving.console_port}").rstrip("/")


def read_snapshot(url: str) -> Snapshot:
    """Return what the controller knows.

    Raises:
        MissingDependencyError: nothing answers there.
    """
    return msgspec.json.decode(_request(f"{url}/api/snapshot"), type=Snapshot)


def command(url: str, model: str, verb: str, *, dry_run: bool, why: str, who: str) -> dict[str, Any]:
    """Ask the tier to promote, roll back, pause or resume `model`; return its answer.

    Raises:
        RefusedError: as things stand it will not, and says why.
        UsageError: it does not know the model.
        MissingDependencyError: nothing answers there.
    """
    body = json.dumps({"dry_run": dry_run, "why": why, "who": who}).encode()
    answer: dict[str, Any] = json.loads(_request(f"{url}/api/models/{quote(model, safe='')}/{verb}", body))
    return answer


def _request(url: str, body: bytes | None = None) -> bytes:
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})  # noqa: S310  http only
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply:  # noqa: S310
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


def _error_text(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        return ""
    return str(answer.get("error") or answer.get("text") or "")
