"""JSON bodies, and refusals that name the field, what was expected and what came."""

import re
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

BAD, TOO_LONG, NOT_JSON = 400, 413, 415
_SHOWN_MAX: Final = 80
_Body = TypeVar("_Body")


class BadRequestError(Exception):
    """A request that is refused; `status` is HTTP's word for why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body of a request that says it is JSON.

    Raises:
        BadRequestError: another content type (415), or more than `limit` bytes (413).
    """
    kind = request.headers.get("content-type", "")
    # A page elsewhere cannot send this type without asking first, and it is never told yes.
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise BadRequestError(NOT_JSON, f"content-type: expected application/json, got {kind or 'none'}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BadRequestError(TOO_LONG, f"body: expected at most {limit} bytes, got more")
    return bytes(body)


def decode(body: bytes, kind: type[_Body]) -> _Body:
    """Return the body as `kind`.

    Raises:
        BadRequestError: it is something else (400).
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise BadRequestError(BAD, _named(str(error), body)) from None
    except RecursionError:
        raise BadRequestError(BAD, "body: expected JSON, got: too many levels") from None


def refusal(error: BadRequestError) -> Response:
    """Return the answer to a request that is refused."""
    return error_response(error.status, str(error))


def error_response(status: int, text: str) -> Response:
    """Return an error as every endpoint spells it."""
    return JSONResponse({"error": text}, status)


def _named(text: str, body: bytes) -> str:
    """Turn msgspec's sentence into "field: expected, got"."""
    sentence, path = text, ""
    if placed := re.fullmatch(r"(?s)(.*) - at `\$([^`]*)`", text):
        sentence, path = placed[1], placed[2].removeprefix(".")
    inside = f"{path}." if path else ""
    if missing := re.search(r"missing required field `(\w+)`", sentence):
        return f"{inside}{missing[1]}: expected a value, got none"
    if unknown := re.search(r"unknown field `([^`]*)`", sentence):
        return f"{inside}{unknown[1]}: expected no such field, got one"
    if typed := re.fullmatch(r"(?s)Expected (.*?)(?:, got (.*))?", sentence):
        wanted, got = typed[1].replace("`", ""), (typed[2] or "").replace("`", "")
        return f"{path or 'body'}: expected {wanted}, got {got or _shown(body, path)}"
    if re.fullmatch(r"Invalid enum value .*", sentence):
        return f"{path}: expected one of its names, got {_shown(body, path)}"
    if re.match(r"\w+: expected ", sentence):  # a rule of the type itself
        return f"{inside}{sentence}"
    return f"body: expected JSON, got: {sentence}"


def _shown(body: bytes, path: str) -> str:
    """Return what stands at a path like [3].price."""
    found: Any = msgspec.json.decode(body)
    for name, index in re.findall(r"(\w+)|\[(\d+)\]", path):
        found = found[int(index)] if index else found[name]
    text = msgspec.json.encode(found).decode()
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."
