"""The dtypes of data_contracts against the structs that native code was compiled with."""

import numpy as np
import pytest

from data_contracts import journal
from data_contracts.market_event import DEPTH_LEVELS, MARKET_EVENT
from native import _native

OFFSETS = {
    "MarketEvent.trade_lots": (MARKET_EVENT, "trade_lots"),
    "MarketEvent.flags": (MARKET_EVENT, "flags"),
    "Epoch.horizon_ns": (journal.EPOCH, "horizon_ns"),
    "Decision.assigned_by": (journal.DECISION, "assigned_by"),
    "Decision.request_key": (journal.DECISION, "request_key"),
    "Shadow.late": (journal.SHADOW, "late"),
    "Markout.horizon": (journal.MARKOUT, "horizon"),
    "Trip.arm": (journal.TRIP, "arm"),
}


def test_market_event_has_the_native_size() -> None:
    assert MARKET_EVENT.itemsize == _native.LAYOUT["MarketEvent.size"] == 80


def test_levels_are_laid_out_as_native_code_has_them() -> None:
    assert _native.LAYOUT["BookDepth.size"] == 4 * DEPTH_LEVELS * 8
    assert _native.LAYOUT["BookDepth.ask_ticks"] == 2 * DEPTH_LEVELS * 8


@pytest.mark.parametrize("field", sorted(OFFSETS))
def test_last_field_of_each_struct_lies_where_native_code_has_it(field: str) -> None:
    dtype, name = OFFSETS[field]
    assert dtype.fields is not None
    assert dtype.fields[name][1] == _native.LAYOUT[field]


@pytest.mark.parametrize("dtype", journal.DTYPES.values(), ids=[kind.name for kind in journal.DTYPES])
def test_every_record_is_128_bytes_without_padding_between_fields(dtype: np.dtype[np.void]) -> None:
    assert dtype.itemsize == journal.RECORD_BYTES
    assert dtype.fields is not None
    ends = 0
    for name in dtype.names or ():
        field, offset = dtype.fields[name][:2]
        assert offset == ends, name
        ends = offset + field.itemsize


def test_a_name_is_the_last_104_bytes() -> None:
    assert _native.LAYOUT["Name.name"] == journal.RECORD_BYTES - 104
