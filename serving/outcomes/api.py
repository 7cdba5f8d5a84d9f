"""Outcomes over HTTP.

POST /v1/outcomes takes one or a list, GET /v1/outcomes?decision_id=N shows what is kept of a decision, and
GET /api/pnl?by=COLUMNS shows what was earned.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from data_contracts.errors import OutcomeStoreUnavailableError, UsageError
from data_contracts.outcome import INT64_MAX, PostedOutcome
from serving.console.bodies import BAD, TOO_LONG, BadRequestError, decode, error_response, read_body, refusal
from serving.outcomes.cells import DEFAULT_BY, By, Row, columns_of
from serving.outcomes.intake import Intake
from serving.outcomes.port import Answer

PATH: Final = "/v1/outcomes"
BODY_LIMIT: Final = 1 << 20
LIST_LIMIT: Final = 1000
_OK, _NEW, _KEPT, _CONTRADICTS, _AWAY = 200, 201, 202, 409, 503


def outcome_routes(intake: Intake, pnl: Callable[[Sequence[By]], list[Row]]) -> list[BaseRoute]:
    """Return the routes.

    Args:
        intake: takes what is posted.
        pnl: gives the PnL table, taken apart by some columns.
    """

    async def post(request: Request) -> Response:
        try:
            outcomes, single = _outcomes(await read_body(request, BODY_LIMIT))
        except BadRequestError as error:
            await run_in_threadpool(intake.refused)
            return refusal(error)
        try:
            answers = await run_in_threadpool(intake.post, outcomes)
        except OutcomeStoreUnavailableError as error:
            return _away(error)
        said = [_said(posted, answer) for posted, answer in zip(outcomes, answers, strict=True)]
        if single:
            return _json(said[0], _status(answers[0]))
        contradicts = any(answer.rule == "contradictory" for answer in answers)
        return _json({"results": said}, _CONTRADICTS if contradicts else _OK)

    async def show(request: Request) -> Response:
        text = request.query_params.get("decision_id", "")
        if not (text.isascii() and text.isdigit() and 0 < int(text[:30]) <= INT64_MAX):
            return error_response(BAD, f"decision_id: expected a decision's number, got {text[:40] or 'none'}")
        try:
            kept = await run_in_threadpool(intake.of_decision, int(text))
        except OutcomeStoreUnavailableError as error:
            return _away(error)
        return _json({"decision_id": int(text), "outcomes": msgspec.to_builtins(kept)}, _OK)

    async def earned(request: Request) -> Response:
        try:
            by = columns_of(request.query_params.get("by", DEFAULT_BY))
        except UsageError as error:
            return error_response(BAD, str(error))
        rows = await run_in_threadpool(pnl, by)
        return _json({"by": by, "rows": msgspec.to_builtins(rows)}, _OK)

    return [
        Route(PATH, post, methods=["POST"]),
        Route(PATH, show, methods=["GET"]),
        Route("/api/pnl", earned, methods=["GET"]),
    ]


def _outcomes(body: bytes) -> tuple[list[PostedOutcome], bool]:
    if not body.lstrip().startswith(b"["):
        return [decode(body, PostedOutcome)], True
    outcomes = decode(body, list[PostedOutcome])
    if not 0 < len(outcomes) <= LIST_LIMIT:
        status = TOO_LONG if outcomes else BAD
        raise BadRequestError(status, f"body: expected 1 to {LIST_LIMIT} outcomes, got {len(outcomes)}")
    return outcomes, False


def _said(posted: PostedOutcome, answer: Answer) -> dict[str, Any]:
    """Say what became of an outcome: accepted, unknown (kept, its decision is not seen yet), or the rule it broke."""
    status = answer.kept.status if answer.rule == "accepted" else answer.rule
    said = {"outcome_id": posted.outcome_id, "status": status, "sequence": answer.kept.sequence}
    return {**said, "error": answer.reason} if answer.reason else said


def _status(answer: Answer) -> int:
    if answer.rule == "accepted":
        return _NEW if answer.kept.status == "accepted" else _KEPT
    return _OK if answer.rule == "duplicate" else _CONTRADICTS


def _away(error: OutcomeStoreUnavailableError) -> Response:
    answer = error_response(_AWAY, f"{error}; post it again")
    answer.headers["Retry-After"] = "1"
    return answer


def _json(value: dict[str, Any], status: int) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(msgspec.json.encode(value), status, media_type="application/json", headers=headers)
