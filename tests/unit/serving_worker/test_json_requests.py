"""Questions in JSON: whatever comes is a request or one line that says what was wrong."""

import contextlib
import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import UsageError
from serving.doors import websocket_messages
from serving.doors.json_requests import DECODER, Ask, decoded, request_of

TEXTS = st.text("aé\0\u2603\U0001f600", max_size=80)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3))
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)
GOOD = {"model": "m", "rows": [[0.0, 1.0]]}
FIELDS = [*Ask.__struct_fields__, "op", "another"]


def asked(message: dict[str, Any], content: bytes | None = None) -> bool:
    """Whether it is a request; anything but the errors that doors tell goes on."""
    try:
        request = request_of(decoded(DECODER, json.dumps(message).encode()), content)
    except (UsageError, msgspec.DecodeError):
        return False
    assert request.rows.dtype == np.float32
    assert request.rows.ndim in (2, 3)
    return True


@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=4), st.none() | st.binary(max_size=16))
def test_any_fields_are_a_request_or_an_error_that_is_told(changes: dict[str, Any], content: bytes | None) -> None:
    asked(GOOD | changes, content)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_an_error_that_is_told(content: bytes) -> None:
    for decoder in (DECODER, websocket_messages.DECODER):
        for sent in (content, b'{"op": "ask", "model": "' + content + b'"}'):
            with contextlib.suppress(UsageError, msgspec.DecodeError):
                decoded(decoder, sent)


@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(NUMBERS, min_size=width, max_size=width), min_size=1)))
def test_rows_of_numbers_are_taken_as_they_are(rows: list[list[float]]) -> None:
    request = request_of(decoded(DECODER, json.dumps(GOOD | {"rows": rows}).encode()))
    np.testing.assert_array_equal(request.rows, np.array(rows, np.float32))


@pytest.mark.parametrize("rows", [[["1"]], [[None]], [[1, None]], [[True]], [[{}]], [1, 2], 7, [[10**400]]])
def test_what_is_no_number_is_no_row(rows: Any) -> None:
    assert asked(GOOD)
    assert not asked(GOOD | {"rows": rows})


def test_what_is_too_large_is_infinite() -> None:
    assert request_of(decoded(DECODER, b'{"model": "m", "rows": [[1e39]]}')).rows.tolist() == [[np.inf]]
