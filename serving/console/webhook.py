"""POST /v1/webhooks/mlflow: MLflow says that something changed, and the next poll comes at once.

What a delivery says is never acted on: aliases are read from the registry. Its signature is checked all the same, so
that nobody else makes the tier poll; MLflow 3.17 sends it in X-MLflow-Delivery-Id, X-MLflow-Timestamp and
X-MLflow-Signature.
"""

import hmac
import time
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from serving.signature import signature_of

log = structlog.get_logger()

PATH: Final = "/v1/webhooks/mlflow"
SECRET_VARIABLE: Final = "RINGCRAFT_WEBHOOK_SECRET"  # noqa: S105  the variable's name, not its value
ID, TIMESTAMP, SIGNATURE = "x-mlflow-delivery-id", "x-mlflow-timestamp", "x-mlflow-signature"
TOLERANCE_S: Final = 300
BODY_LIMIT: Final = 256 * 1024
_ID_MAX: Final = 200
_TAKEN, _BAD, _FORGED, _ABSENT, _TOO_LONG = 202, 400, 401, 404, 413


class DeliveryError(Exception):
    """A delivery that is not taken; `status` is HTTP's word for why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class DeliveryCheck:
    """Tells MLflow's own deliveries from forged, stale and repeated ones."""

    def __init__(self, secret: str, clock: Callable[[], float] = time.time) -> None:
        """Take the secret that the webhook was registered with, and seconds since 1970."""
        self._secret, self._clock = secret.encode(), clock
        self._seen: dict[str, float] = {}
        """Delivery id -> when its timestamp leaves the window; only signed ones come here, so nobody can fill it."""

    def check(self, headers: Mapping[str, str], body: bytes) -> str:
        """Return the delivery's id.

        Args:
            headers: by lower-case name.
            body: as it came.

        Raises:
            DeliveryError: a header is missing or malformed (400); the signature, the time or a repeated id refuse
                it (401).
        """
        delivery, stamp, signature = (_header(headers, name) for name in (ID, TIMESTAMP, SIGNATURE))
        if len(delivery) > _ID_MAX:
            raise DeliveryError(_BAD, f"{ID}: expected at most {_ID_MAX} characters, got {len(delivery)}")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16):
            raise DeliveryError(_BAD, f"{TIMESTAMP}: expected seconds since 1970, got {stamp[:40]!r}")
        # Several may be offered, one a secret; each is compared in full, so that the time it takes tells nothing.
        wanted = signature_of(self._secret, delivery, stamp, body).encode()
        matches = [hmac.compare_digest(wanted, one.encode()) for one in signature.split(" ")]
        if not any(matches):
            raise DeliveryError(_FORGED, f"{SIGNATURE}: expected one made with this tier's secret, got another")
        now, then = self._clock(), float(stamp)
        if not abs(now - then) <= TOLERANCE_S:
            raise DeliveryError(
                _FORGED, f"{TIMESTAMP}: expected within {TOLERANCE_S} s of now, got {now - then:+.0f} s"
            )
        self._seen = {one: until for one, until in self._seen.items() if until > now}
        if delivery in self._seen:
            raise DeliveryError(_FORGED, f"{ID}: expected one that is new, got {delivery!r} again")
        self._seen[delivery] = then + TOLERANCE_S + 1
        return delivery


def webhook_routes(secret: str, wake: Callable[[], None]) -> list[BaseRoute]:
    """Return the route; without a secret it answers 404 and says what is missing.

    Args:
        secret: the webhook was registered with; empty: none is taken.
        wake: makes the next poll come at once.
    """
    check = DeliveryCheck(secret)

    async def receive(request: Request) -> Response:
        try:
            if not secret:
                raise DeliveryError(_ABSENT, f"webhook: expected {SECRET_VARIABLE} in the controller's environment")
            delivery = check.check(request.headers, await _body(request))
        except DeliveryError as error:
            log.warning("webhook_refused", status=error.status, reason=str(error))
            return JSONResponse({"error": str(error)}, error.status)
        log.debug("webhook_taken", delivery=delivery)
        wake()
        return JSONResponse({"taken": True}, _TAKEN)

    return [Route(PATH, receive, methods=["POST"])]


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not value:
        raise DeliveryError(_BAD, f"{name}: expected a value, got none")
    return value


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise DeliveryError(_TOO_LONG, f"body: expected at most {BODY_LIMIT} bytes, got more")
    return body
