"""gRPC's own health service, grpc.health.v1, which probes of Kubernetes and proxies ask."""

from collections.abc import Callable
from typing import Any, Final

import grpc

from serving.doors.grpc_messages import SERVICE, built

HEALTH: Final = "grpc.health.v1.Health"
_SERVING, _NOT_SERVING = 1, 2
# The status is an enumeration there, which goes over the wire as an int32 does.
_MESSAGES: Final = built(
    "grpc.health.v1", {"HealthCheckRequest": "string service=1", "HealthCheckResponse": "int32 status=1"}
)


def health_handler(ready: Callable[[], bool]) -> grpc.GenericRpcHandler:
    """Return what answers Check, of the whole server or of the inference service; Watch is not implemented.

    Args:
        ready: whether questions can be answered; asked at every check, by any thread.
    """

    def check(request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        if request.service not in ("", SERVICE):
            context.abort(grpc.StatusCode.NOT_FOUND, f"service: expected '{SERVICE}' or none, got '{request.service}'")
        return _MESSAGES["HealthCheckResponse"](status=_SERVING if ready() else _NOT_SERVING)

    handler = grpc.unary_unary_rpc_method_handler(
        check,
        request_deserializer=_MESSAGES["HealthCheckRequest"].FromString,
        response_serializer=_MESSAGES["HealthCheckResponse"].SerializeToString,
    )
    return grpc.method_handlers_generic_handler(HEALTH, {"Check": handler})
