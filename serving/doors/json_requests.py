"""Questions and answers in JSON, for doors that speak it: the same words behind each."""

import time
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from serving.doors.asking import Request
from serving.doors.shared_client import Answer

Text = Annotated[str, Meta(min_length=1, max_length=63)]
Id = str | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None
_TEXT_BYTES: Final = 63
_DIMENSIONS_MAX: Final = 3


class Ask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question; see Request."""

    model: Annotated[str, Meta(min_length=1, max_length=127)]
    rows: list[Any] | None = None
    """n vectors of d numbers, or n windows of w such vectors; None: they come beside, as bytes."""
    shape: (
        Annotated[list[Annotated[int, Meta(ge=1, le=16_384)]], Meta(min_length=2, max_length=_DIMENSIONS_MAX)] | None
    ) = None
    """Of rows that come as bytes."""
    id: Id = None
    """Comes back with the answer."""
    version: Annotated[int, Meta(ge=0, lt=2**32)] = 0
    instrument: Text | None = None
    key: Text | None = None
    arm: Literal["champion", "challenger"] | None = None
    api_key: Annotated[str, Meta(max_length=1000)] | None = None
    """Secret of who asks, where the message itself must say it."""
    deadline_ms: Annotated[float, Meta(gt=0, le=60_000)] | None = None


T = TypeVar("T")


def decoded(decoder: msgspec.json.Decoder[T], content: str | bytes) -> T:
    """Return a message.

    Raises:
        msgspec.DecodeError: it is no JSON, or another message.
        UsageError: it is nested too deeply, or no UTF-8; msgspec leaves both to Python's own errors.
    """
    try:
        return decoder.decode(content)
    except RecursionError:
        raise UsageError("message: expected lists in at most three levels, got JSON nested too deeply") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"message: expected UTF-8, got another byte at {error.start} of a text") from None


def request_of(ask: Ask, content: bytes | memoryview | None = None, *, account: str = "") -> Request:
    """Return what is asked; a deadline counts from now.

    Args:
        ask: the question.
        content: its rows as little-endian float32, where they do not lie in `ask`.
        account: of who asks.

    Raises:
        UsageError: rows that are no numbers, of several widths, or of another size than stated; a text too long.
    """
    for name, text in (("instrument", ask.instrument), ("key", ask.key)):
        if text is not None and len(text.encode()) > _TEXT_BYTES:
            raise UsageError(f"{name}: expected at most {_TEXT_BYTES} bytes, got {len(text.encode())}")
    return Request(
        model=ask.model,
        rows=_listed(ask.rows) if content is None else _packed(ask.shape, content),
        version=ask.version,
        instrument=ask.instrument or "",
        key=ask.key or "",
        account=account,
        arm=ask.arm or "",
        deadline_ns=None if ask.deadline_ms is None else time.monotonic_ns() + int(ask.deadline_ms * 1e6),
    )


def answer_to(ask: Ask, answer: Answer) -> dict[str, Any]:
    """Return the answer to a question, for JSON; an output that is no number is null."""
    return {
        "id": ask.id,
        "model": ask.model,
        "version": answer.version,
        "arm": answer.arm.name.lower(),
        "decision_ids": answer.decision_ids.tolist(),
        "actions": answer.actions.tolist(),
        "abstains": answer.reasons(),
        "outputs": [[value if np.isfinite(value) else None for value in row] for row in answer.outputs.tolist()],
    }


def reading(error: Exception) -> str:
    """Return what was wrong with a message, in one line."""
    return str(error).splitlines()[0]


def _listed(rows: list[Any] | None) -> NDArray[np.float32]:
    try:
        array = np.array(rows or [])
    except (TypeError, ValueError, OverflowError):
        array = np.array(None)
    # Neither texts that look like numbers nor null, which numpy would take.
    if array.dtype.kind not in "iuf":
        raise UsageError("rows: expected vectors of one width, or windows of one length, all numbers")
    if not 2 <= array.ndim <= _DIMENSIONS_MAX:
        raise UsageError(f"rows: expected a list of vectors or of windows, got {array.ndim} levels")
    with np.errstate(over="ignore"):  # what is too large is infinite, which the engine abstains from
        return array.astype(np.float32)


def _packed(shape: list[int] | None, content: bytes | memoryview) -> NDArray[np.float32]:
    if shape is None:
        raise UsageError("shape: expected that of the rows beside, got none")
    if len(content) != 4 * int(np.prod(shape)):
        raise UsageError(f"rows: expected {4 * int(np.prod(shape))} bytes for shape {shape}, got {len(content)}")
    return np.frombuffer(content, "<f4").reshape(shape)


DECODER: Final = msgspec.json.Decoder(Ask)
