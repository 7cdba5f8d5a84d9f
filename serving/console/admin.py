"""Commands over HTTP: POST /api/models/{model}/{promote|rollback|pause|resume}."""

import re
from collections.abc import Callable
from typing import Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from data_contracts.errors import ModelNotFoundError, RingcraftError
from serving.console.commands import CommandRequest, CommandResult, Commands
from serving.console.snapshot import Snapshot

BODY_LIMIT: Final = 64 * 1024
_DONE, _BAD, _UNKNOWN, _REFUSED, _TOO_LONG, _NOT_JSON = 200, 400, 404, 409, 413, 415


class _BadRequestError(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def admin_routes(snapshot: Callable[[], Snapshot], commands: Commands) -> list[BaseRoute]:
    """Return one route for each command."""
    actions = {
        "promote": commands.promote,
        "rollback": commands.rollback,
        "pause": commands.pause,
        "resume": commands.resume,
    }
    return [
        Route(f"/api/models/{{model}}/{name}", _endpoint(snapshot, action), methods=["POST"])
        for name, action in actions.items()
    ]


def _endpoint(snapshot: Callable[[], Snapshot], action: Callable[..., CommandResult]) -> Callable[..., object]:
    async def run(request: Request) -> Response:
        model = request.path_params["model"]
        try:
            asked = await _read(request)
            if model not in (followed.model for followed in snapshot().models):
                raise ModelNotFoundError(model)
            result = await run_in_threadpool(
                action, model, dry_run=asked.dry_run, why=asked.why, who=asked.who or "console"
            )
        except _BadRequestError as error:
            return _error(error.status, str(error))
        except ModelNotFoundError:
            return _error(_UNKNOWN, f"model: expected one that is followed, got {model!r}")
        except RingcraftError as error:
            return _error(_REFUSED, str(error))
        body = msgspec.to_builtins(result)
        return JSONResponse(body if result.done else {**body, "error": result.text}, _DONE if result.done else _REFUSED)

    return run


async def _read(request: Request) -> CommandRequest:
    kind = request.headers.get("content-type", "")
    # A page elsewhere cannot send this type without asking first, and it is never told yes.
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise _BadRequestError(_NOT_JSON, f"content-type: expected application/json, got {kind or 'none'}")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise _BadRequestError(_TOO_LONG, f"body: expected at most {BODY_LIMIT} bytes, got more")
    try:
        return msgspec.json.decode(body, type=CommandRequest)
    except msgspec.DecodeError as error:
        raise _BadRequestError(_BAD, _named(str(error))) from None


def _named(text: str) -> str:
    """Turn msgspec's sentence into "field: expected, got"."""
    if missing := re.search(r"missing required field `(\w+)`", text):
        return f"{missing[1]}: expected a value, got none"
    if unknown := re.search(r"unknown field `([^`]*)`", text):
        return f"{unknown[1]}: expected no such field, got one"
    if typed := re.fullmatch(r"Expected (.*) - at `\$\.?(\w*)[^`]*`", text):
        wanted, _, got = typed[1].replace("`", "").partition(", got ")
        return f"{typed[2] or 'body'}: expected {wanted}, got {got or 'something else'}"
    if whole := re.fullmatch(r"Expected (.*), got (.*)", text):
        return f"body: expected {whole[1]}, got {whole[2]}".replace("`", "")
    return f"body: expected JSON, got: {text}"


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)
