"""The measurement of event to decision, over the worker's own path."""

from pathlib import Path

import pytest
from worker_kit import IF, linear_graph, touch_events, write_version

from data_contracts.errors import UsageError
from serving.latency import measure_decisions


@pytest.mark.parametrize("with_challenger", [False, True])
def test_small_model_decides_within_a_millisecond(tmp_path: Path, with_challenger: bool) -> None:
    folder = write_version(tmp_path / "1", linear_graph)
    measured = measure_decisions(folder, IF, touch_events(3000), with_challenger=with_challenger)
    assert measured.decisions == 2800
    assert 0 < measured.p50_us <= measured.p99_us <= measured.worst_us
    assert measured.p50_us < 1000


def test_too_few_events_are_refused(tmp_path: Path) -> None:
    folder = write_version(tmp_path / "1", linear_graph)
    with pytest.raises(UsageError, match="got 10"):
        measure_decisions(folder, IF, touch_events(10))
