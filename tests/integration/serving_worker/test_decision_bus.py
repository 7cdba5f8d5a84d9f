"""Decisions on the bus of a real worker, as a neighbour follows them."""

from pathlib import Path

import numpy as np
import pytest
from worker_kit import IF, MODEL, ab_route, lineup, serve_all, tier, touch_events, wait_for

from data_contracts.errors import UsageError
from serving.doors.decisions import DecisionFeed
from serving.journal import read_journal

COUNT = 500


def test_follower_reads_what_the_journal_says_and_a_late_one_knows_the_names(
    versions: dict[int, Path], tmp_path: Path
) -> None:
    with tier(tmp_path) as running:
        running.show(lineup(versions))
        running.routing.publish([ab_route()])
        running.start()
        running.beat()
        wait_for(lambda: len(running.status().slots) == 2, "the versions")
        with DecisionFeed(running.state) as feed:
            serve_all(running, touch_events(COUNT))
            decisions = np.concatenate([feed.read(timeout_s=1.0), feed.read(timeout_s=0.2)])
            assert feed.worker_lives
            assert feed.missed == 0
        late = DecisionFeed(running.state)
        wait_for(lambda: running.status().instruments, "the instrument in the status")
        serve_all(running, touch_events(3, start=COUNT))
        told = late.told(late.read(timeout_s=1.0))
        # One that follows on after a restart of the worker misses nothing either.
        running.kill()
        running.start()
        serve_all(running, touch_events(2, start=COUNT + 3))
        after = late.read(timeout_s=1.0)
        running.stop()
        journal = read_journal(running.journal)

    assert [(one.model, one.instrument) for one in told] == [(MODEL, IF.symbol)] * 3
    assert [one.decision_id for one in told] == [COUNT + 1, COUNT + 2, COUNT + 3]
    assert {one.arm for one in told} <= {"champion", "challenger"}
    assert {one.abstain for one in told} == {"not_warm"}
    assert after["decision_id"].tolist() == [COUNT + 4, COUNT + 5]
    assert late.missed == 0
    fields = [name for name in decisions.dtype.names if name not in ("crc32c", "index", "pad", "reserved")]
    kept = journal.decisions[:COUNT]
    for name in fields:
        np.testing.assert_array_equal(decisions[name], kept[name], err_msg=name)


def test_without_a_worker_there_is_nothing_to_follow(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"decisions: .*No such file"):
        DecisionFeed(tmp_path)
