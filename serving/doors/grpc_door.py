"""The Open Inference Protocol v2 over gRPC, with Triton's stream: a thin door on the worker's shared memory.

Tensors come raw or as contents, all of a request one way; they go out raw, as Triton's do. A reply holds the model's
output and, row by row, what was decided on it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import structlog
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from serving.doors.asking import Asker, Door, RefusedError, Request
from serving.doors.grpc_health import health_handler
from serving.doors.grpc_messages import MESSAGES, SERVICE
from serving.doors.grpc_tensors import CONFIG_TYPES, DATATYPES, TensorError, add_outputs, input_rows, wanted_outputs
from serving.doors.guard import Guard
from serving.doors.keys import KeyRefusedError, Scope, account_of, bearer
from serving.doors.repository import INPUT, OUTPUT, HeldVersion
from serving.doors.shared_client import Status
from serving.doors.tallies import Tallies, Tally

THREADS: Final = 16
_STREAMS_MAX: Final = 64
"""Each holds a thread for as long as it is open, asking or not."""
_MESSAGE_BYTES: Final = 1 << 20
_DEADLINE_MAX_S: Final = 3600.0
_PLATFORM: Final = "onnx"
_EXTENSIONS: Final = ("statistics", "model_configuration", "model_repository(index)")
_OPEN: Final = ("ServerLive", "ServerReady")
"""Asked by who need not have a key."""
_REFUSALS: Final = {
    "unauthenticated": grpc.StatusCode.UNAUTHENTICATED,
    "permission_denied": grpc.StatusCode.PERMISSION_DENIED,
    "resource_exhausted": grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_CODES: Final = {
    Status.UNKNOWN_MODEL: grpc.StatusCode.NOT_FOUND,
    Status.UNKNOWN_VERSION: grpc.StatusCode.NOT_FOUND,
    Status.BAD_SHAPE: grpc.StatusCode.INVALID_ARGUMENT,
    Status.TAKEN_OFF: grpc.StatusCode.FAILED_PRECONDITION,
    Status.STREAM: grpc.StatusCode.FAILED_PRECONDITION,
    Status.NOT_READY: grpc.StatusCode.UNAVAILABLE,
    Status.RESTARTED: grpc.StatusCode.UNAVAILABLE,
    Status.TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
}

log = structlog.get_logger()


class InferenceService:
    """The protocol's methods; each takes a request and its context and returns a reply."""

    def __init__(self, state_dir: Path, guard: Guard) -> None:
        """Serve what the worker of the tier in `state_dir` holds, to those whom `guard` lets pass."""
        self._guard = guard
        self._asker = Asker(state_dir, Door.GRPC)
        self._streams = threading.BoundedSemaphore(_STREAMS_MAX)
        self._tallies = Tallies()

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what a gRPC server calls."""
        unary = {
            "ServerLive": self.server_live,
            "ServerReady": self.server_ready,
            "ModelReady": self.model_ready,
            "ServerMetadata": self.server_metadata,
            "ModelMetadata": self.model_metadata,
            "ModelConfig": self.model_config,
            "ModelInfer": self.model_infer,
            "ModelStatistics": self.model_statistics,
            "RepositoryIndex": self.repository_index,
        }
        handlers = {name: self._unary(name, method) for name, method in unary.items()}
        handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(
            self.model_stream_infer,
            request_deserializer=MESSAGES["ModelInferRequest"].FromString,
            response_serializer=MESSAGES["ModelStreamInferResponse"].SerializeToString,
        )
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _unary(self, name: str, method: Callable[[Any, grpc.ServicerContext], Any]) -> grpc.RpcMethodHandler:
        scope: Scope = "infer" if name == "ModelInfer" else "read"

        def answer(request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
            try:
                with self._guard.counters.request():
                    if name not in _OPEN:
                        ring = self._guard.ring
                        ring.admit(ring.known(_secret(context)), scope)
                    return method(request, context)
            except KeyRefusedError as error:
                context.abort(_REFUSALS[error.why], str(error))
            except RefusedError as error:
                context.abort(_CODES.get(error.status, grpc.StatusCode.INTERNAL), str(error))
            except TensorError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=MESSAGES[f"{name}Request"].FromString,
            response_serializer=MESSAGES[f"{name}Response"].SerializeToString,
        )

    @property
    def ready(self) -> bool:
        """Whether the worker answers and every model has a version that is verified and warm."""
        return self._asker.ready

    def server_live(self, _request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        """Return that this process lives."""
        return MESSAGES["ServerLiveResponse"](live=True)

    def server_ready(self, _request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        """Return whether the worker answers and every model has a version that is verified and warm."""
        return MESSAGES["ServerReadyResponse"](ready=self.ready)

    def model_ready(self, request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        """Return whether the version, or any, is verified and warm."""
        found = self._asker.repository.versions(request.name, _version(request.version))
        return MESSAGES["ModelReadyResponse"](ready=bool(found))

    def server_metadata(self, _request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        """Return what serves."""
        try:
            known = version("ringcraft")
        except PackageNotFoundError:
            known = ""
        return MESSAGES["ServerMetadataResponse"](name="ringcraft", version=known, extensions=_EXTENSIONS)

    def model_metadata(self, request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        """Return a model's versions, and its tensors."""
        held = self._asker.held(request.name, _version(request.version))
        versions = self._asker.repository.versions(request.name, _version(request.version))
        reply = MESSAGES["ModelMetadataResponse"](
            name=request.name, versions=[str(one.version) for one in versions], platform=_PLATFORM
        )
        reply.inputs.add(name=INPUT, datatype="FP32", shape=held.input_shape)
        for name, datatype in DATATYPES.items():
            reply.outputs.add(name=name, datatype=datatype, shape=_output_shape(name, held))
        return reply

    def model_config(self, request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        """Return the same as Triton's clients read it where they prepare their tensors by it."""
        held = self._asker.held(request.name, _version(request.version))
        versions = self._asker.repository.versions(request.name, _version(request.version))
        reply = MESSAGES["ModelConfigResponse"]()
        config = reply.config
        config.name, config.platform, config.backend = request.name, _PLATFORM, "ringcraft"
        config.version_policy.specific.versions.extend(one.version for one in versions)
        config.input.add(name=INPUT, data_type=CONFIG_TYPES["FP32"], dims=held.input_shape)
        for name, datatype in DATATYPES.items():
            config.output.add(name=name, data_type=CONFIG_TYPES[datatype], dims=_output_shape(name, held))
        return reply

    def model_infer(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        """Return the decisions on a request's rows."""
        started_ns = time.monotonic_ns()
        wanted = wanted_outputs(request)
        rows: NDArray[np.float32] = input_rows(request)
        try:
            question = Request(
                model=request.model_name,
                rows=rows,
                version=_version(request.model_version),
                account=account_of(self._guard.ring.known(_secret(context))),
                deadline_ns=_deadline_ns(request, context),
                **_parameters(request),
            )
            with self._guard.question(question.model, question.instrument):
                answer = self._asker.ask(question)
        except (RefusedError, KeyRefusedError):
            self._tallies.failed(request.model_name, time.monotonic_ns() - started_ns)
            raise
        reply = MESSAGES["ModelInferResponse"](
            model_name=request.model_name, model_version=str(answer.version), id=request.id
        )
        reply.parameters["arm"].string_param = answer.arm.name.lower()
        reply.parameters["reason"].string_param = next(filter(None, answer.reasons()), "none")
        add_outputs(reply, answer, wanted)
        self._tallies.answered(request.model_name, answer, time.monotonic_ns() - started_ns)
        return reply

    def model_stream_infer(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        """Answer each request of a stream in order; a bad one gets its error and the stream goes on."""
        if not self._streams.acquire(blocking=False):
            most = f"streams: expected at most {_STREAMS_MAX} open at once, got more"
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, most)
        try:
            yield from self._streamed(requests, context)
        finally:
            self._streams.release()

    def _streamed(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            with self._guard.counters.opening():
                key = self._guard.ring.known(_secret(context))
        except KeyRefusedError as error:
            context.abort(_REFUSALS[error.why], str(error))
        for request in requests:
            reply = MESSAGES["ModelStreamInferResponse"]()
            try:
                with self._guard.counters.request():
                    self._guard.ring.admit(key, "infer")
                    reply.infer_response.CopyFrom(self.model_infer(request, context))
            except (RefusedError, TensorError, KeyRefusedError) as error:
                reply.error_message = str(error)
                # So that whoever asked knows which it was.
                reply.infer_response.id = request.id
                reply.infer_response.model_name = request.model_name
            # Clients that ask for it read on until they see it; a request has one response here.
            reply.infer_response.parameters["triton_final_response"].bool_param = True
            yield reply

    def model_statistics(self, request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        """Return what this door has asked, of one model or of all."""
        reply = MESSAGES["ModelStatisticsResponse"]()
        models = [request.name] if request.name else sorted(self._asker.repository.models())
        for model in models:
            number_asked = _version(request.version)
            self._asker.held(model, number_asked)
            # One that was never asked says so by its zeros: clients read the first entry.
            unasked = {one.version: Tally() for one in self._asker.repository.versions(model, number_asked)}
            for number, tally in sorted((unasked | dict(self._tallies.of(model))).items()):
                if request.version in ("", str(number)):
                    tally.write(reply.model_stats.add(name=model, version=str(number)))
        return reply

    def repository_index(self, request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        """Return every version that the worker was told to hold."""
        reply = MESSAGES["RepositoryIndexResponse"]()
        for model, held in sorted(self._asker.repository.models().items()):
            for one in held:
                if one.ready or not request.ready:
                    state = "READY" if one.ready else "UNAVAILABLE"
                    reply.models.add(name=model, version=str(one.version), state=state, reason=one.reason)
        return reply


def serve_grpc(
    state_dir: Path,
    *,
    host: str,
    port: int,
    stop: threading.Event,
    opened: Callable[[int], None],
    guard: Guard,
) -> None:
    """Serve until `stop` is set.

    Args:
        state_dir: of the tier.
        host: address to listen on.
        port: 0: any free.
        stop: ends it; calls under way have a second.
        opened: told the port.
        guard: of whoever asks; THREADS are answered at once, whatever it allows.

    Raises:
        UsageError: the port cannot be had.
    """
    options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", _MESSAGE_BYTES)]
    threads = ThreadPoolExecutor(THREADS + _STREAMS_MAX, thread_name_prefix="grpc")
    server = grpc.server(threads, options=options)
    service = InferenceService(state_dir, guard)
    server.add_generic_rpc_handlers((service.handler(), health_handler(lambda: service.ready)))
    try:
        taken = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise UsageError(f"gRPC door: port {port} on {host}: expected a free one, got: {error}") from None
    server.start()
    opened(taken)
    log.info("grpc_door_opened", port=taken)
    stop.wait()
    server.stop(1.0).wait()


def _secret(context: grpc.ServicerContext) -> str | None:
    return bearer(next((str(value) for name, value in context.invocation_metadata() if name == "authorization"), None))


def _output_shape(name: str, held: HeldVersion) -> tuple[int, ...]:
    return (-1, held.outputs) if name == OUTPUT else (-1,)


def _version(text: str) -> int:
    if text and not (len(text) <= 10 and text.isascii() and text.isdigit() and 0 < int(text) < 2**32):
        raise TensorError(f"model version: expected a positive number or none, got {text[:20]!r}")
    return int(text) if text else 0


def _deadline_ns(request: Any, context: grpc.ServicerContext) -> int | None:  # noqa: ANN401
    """Return until when whoever asks waits: the call's deadline, or the request's `timeout` where that is sooner."""
    left_s = context.time_remaining()  # centuries where the client set none
    waits_s = [left_s] if left_s is not None and left_s < _DEADLINE_MAX_S else []
    if "timeout" in request.parameters:
        told = request.parameters["timeout"]
        if told.WhichOneof("parameter_choice") != "int64_param" or told.int64_param < 0:
            raise TensorError("parameter timeout: expected whole microseconds")
        if told.int64_param:  # 0: none, as Triton has it
            waits_s.append(min(told.int64_param / 1e6, _DEADLINE_MAX_S))
    return time.monotonic_ns() + int(min(waits_s) * 1e9) if waits_s else None


def _parameters(request: Any) -> dict[str, str]:  # noqa: ANN401
    """Return what a request's parameters say of routing."""
    said = {}
    for name in ("instrument", "key", "arm"):
        if name in request.parameters:
            said[name] = request.parameters[name].string_param
            if not 0 < len(said[name].encode()) < 64:
                raise TensorError(f"parameter {name}: expected a text of 1 to 63 bytes")
    if said.get("arm", "champion") not in ("champion", "challenger"):
        raise TensorError(f"parameter arm: expected champion or challenger, got {said['arm']!r}")
    return said
