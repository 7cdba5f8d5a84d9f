"""Commands over HTTP: POST /api/models/{model}/{promote|rollback|pause|resume}."""

from collections.abc import Callable
from typing import Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from data_contracts.errors import ModelNotFoundError, RingcraftError
from serving.console.bodies import BadRequestError, decode, error_response, read_body, refusal
from serving.console.commands import CommandRequest, CommandResult, Commands
from serving.console.snapshot import Snapshot

BODY_LIMIT: Final = 64 * 1024
_DONE, _UNKNOWN, _REFUSED = 200, 404, 409


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
        except BadRequestError as error:
            return refusal(error)
        except ModelNotFoundError:
            return error_response(_UNKNOWN, f"model: expected one that is followed, got {model!r}")
        except RingcraftError as error:
            return error_response(_REFUSED, str(error))
        body = msgspec.to_builtins(result)
        return JSONResponse(body if result.done else {**body, "error": result.text}, _DONE if result.done else _REFUSED)

    return run


async def _read(request: Request) -> CommandRequest:
    return decode(await read_body(request, BODY_LIMIT), CommandRequest)
