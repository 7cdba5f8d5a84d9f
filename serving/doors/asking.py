"""How doors that are processes of their own ask the worker: a few lanes of its shared-memory door, lent out in turn."""

from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from data_contracts.journal import Arm
from serving.doors.repository import INPUT, HeldVersion, Repository
from serving.doors.shared_client import ROWS_MAX, Answer, SharedClient, Status

_LANES: Final = 4
_TIMEOUT_S: Final = 5.0
_FLOATS_MAX: Final = 16_384


class Door(IntEnum):
    """Where a decision was asked for, as the journal keeps it."""

    WEBSOCKET = 2
    GRPC = 3
    ZEROMQ = 4


class RefusedError(Exception):
    """A question that gets no decision; the message is one line for who asked."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


class Request(Struct, frozen=True, kw_only=True):
    """Rows of one model."""

    model: str
    rows: NDArray[np.float32]
    """(n, d) vectors, or (n, w, d) windows."""
    version: int = 0
    """0: as routed."""
    instrument: str = ""
    key: str = ""
    account: str = ""
    """The name of who asks's key; empty: no key is needed."""
    arm: str = ""
    """champion or challenger; empty: as drawn."""
    deadline_ns: int | None = None
    """time.monotonic_ns(); a later answer is an abstention, wherever the question waited."""


class Asker:
    """Asks for one door; any thread may."""

    def __init__(self, state_dir: Path, door: Door, *, lanes: int = _LANES) -> None:
        """Ask the worker of the tier whose state lies in `state_dir`, `lanes` questions at once."""
        self.repository = Repository(state_dir)
        self._state_dir, self._door = state_dir, door
        self._lanes: SimpleQueue[SharedClient | None] = SimpleQueue()
        for _ in range(lanes):
            self._lanes.put(None)

    @property
    def ready(self) -> bool:
        """Whether a worker answers, and has a version of each model verified and warm."""
        if not self.repository.ready:
            return False
        lane = self._lanes.get()
        try:
            lane = lane or SharedClient(self._state_dir)
            return lane.served
        except UsageError:
            return False
        finally:
            self._lanes.put(lane)

    def held(self, model: str, version: int = 0) -> HeldVersion:
        """Return the version asked for, or the first that is ready.

        Raises:
            RefusedError: there is none.
        """
        found = self.repository.versions(model, version)
        if found:
            return found[0]
        if model not in self.repository.models():
            raise RefusedError(Status.UNKNOWN_MODEL, f"Request for unknown model: '{model}' is not found")
        if version:
            message = f"Request for unknown model: '{model}' version {version} is not found"
            raise RefusedError(Status.UNKNOWN_VERSION, message)
        raise RefusedError(Status.NOT_READY, f"Request for model '{model}': no version of it is ready")

    def ask(self, request: Request) -> Answer:
        """Return the decisions on the request's rows.

        Raises:
            RefusedError: there are none.
        """
        held = self.held(request.model, request.version)
        self._check_shape(request, held)
        answer = self._asked(request)
        if answer.status != Status.OK:
            raise RefusedError(answer.status, f"model '{request.model}': {answer.reason}")
        return answer

    @staticmethod
    def _check_shape(request: Request, held: HeldVersion) -> None:
        shape, wanted = request.rows.shape, held.input_shape
        fits = len(shape) == len(wanted) and shape[1:] == wanted[1:]
        if not fits or not 1 <= shape[0] <= ROWS_MAX or request.rows.size > _FLOATS_MAX:
            wanted_text = f"{list(wanted)} with 1 to {ROWS_MAX} rows, {_FLOATS_MAX} numbers at most"
            message = f"model '{request.model}': input '{INPUT}': expected shape {wanted_text}, got {list(shape)}"
            raise RefusedError(Status.BAD_SHAPE, message)

    def _asked(self, request: Request) -> Answer:
        lane = self._lanes.get()
        try:
            lane = lane or SharedClient(self._state_dir)
            answer = lane.ask(request.model, request.rows, door=int(self._door), **_question(request))
        except UsageError as error:
            raise RefusedError(Status.NOT_READY, str(error)) from None
        else:
            if answer.status == Status.TIMEOUT:
                lane = None  # the worker may have gone, and its door with it: the next question looks afresh
            return answer
        finally:
            self._lanes.put(lane)


def _question(request: Request) -> Mapping[str, object]:
    question: dict[str, object] = {
        "version": request.version,
        "instrument": request.instrument,
        "key": request.key,
        "account": request.account,
        "timeout_s": _TIMEOUT_S,
    }
    if request.arm:
        question["arm"] = int(Arm[request.arm.upper()])
    if request.deadline_ns is not None:
        question["deadline_ns"] = request.deadline_ns
    return question
