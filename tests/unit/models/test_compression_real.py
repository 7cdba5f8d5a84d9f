"""On real recordings: a quarter of the bytes, not inferior, for trees and for three nets."""

import pytest

from benchmarks.compression import FAMILIES, outcome, prepared


@pytest.fixture(scope="module")
def cffex(test_data):
    return prepared(
        test_data / "cffex-if-ticks-202101", format_name="cffex-ticks", instrument=None, horizon_s=2.0, rows=30_000
    )


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", FAMILIES)
def test_published_form_is_a_quarter_or_less_and_not_inferior(name, cffex):
    done = outcome(name, cffex).report
    assert done.not_inferior
    assert done.compressed_bytes <= 0.25 * done.original_bytes
    assert done.difference_low <= done.difference_high <= done.margin
    assert done.latency is not None
    assert done.original_latency is not None
    assert {point.published for point in done.front} == {True, False}
