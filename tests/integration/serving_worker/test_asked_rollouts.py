"""Decisions that clients ask for carry a rollout as those on the feed do: same end, live and judged again."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from controlled import controlled
from test_rollback_reaction import GENEROUS, STEPS
from worker_kit import IF, MODEL, WIDTH, linear_graph, touch_events, write_version

from data_contracts.feed_hello import FeedHello, write_hello
from data_contracts.journal import AbstainReason, Arm, AssignBy, Door
from data_contracts.policy import Assignment, Policy, Rollout
from serving.doors.shared_client import SharedClient, Status
from serving.journal import read_journal
from serving.judge import judge_journal

ASKED_BETWEEN_EVENTS = 5
FREE = msgspec.structs.replace(IF, fee_bps=0.0)


@pytest.mark.parametrize("by", ["decision", "request_key"])
def test_judge_repeats_the_verdict_on_decisions_that_were_asked_for(tmp_path: Path, by: str) -> None:
    champion = write_version(tmp_path / "1", linear_graph, threshold=2.0)
    challenger = write_version(tmp_path / "2", lambda path: linear_graph(path, bias=(0.0, 0.0, 90.0)))
    policy = Policy(rollout=Rollout(steps=STEPS), limits=GENEROUS, assignment=Assignment(by=by))
    vectors = np.random.default_rng(5).normal(size=(512, 1, WIDTH)).astype(np.float32)
    with controlled(tmp_path, policy) as ours:
        ours.deploy("champion", champion)
        ours.deploy("challenger", challenger)
        book, client = ours.controller._book, SharedClient(ours.running.state)
        feed = ours.running.feed(hello=False)
        feed.send(1, write_hello(FeedHello(instruments=(FREE,))))
        assert feed.receive() == {"accepted": True}
        asked = sent = 0
        while not book.entries[-1].ended:
            feed.events(touch_events(1, start=sent))
            sent += 1
            for _ in range(ASKED_BETWEEN_EVENTS):
                answer = client.ask(
                    MODEL, vectors[asked % len(vectors)], instrument=FREE.symbol, key=f"order-{asked // 3}"
                )
                assert answer.status == Status.OK
                asked += 1
            assert asked < 40_000, "no verdict"
        live = book.entries[-1]
        feed.end()
        feed.close()
        ours.running.stop()
        journal, judged = read_journal(ours.running.journal), judge_journal(ours.running.state / "journal")
    (again,) = [one for one in judged if one.rollout_id == live.rollout_id]
    ended = live.ended
    assert (again.verdict, again.guardrail, again.decision) == ("rolled_back", ended.guardrail, ended.decision)
    assert ended.guardrail == "pnl"
    decisions = journal.decisions[journal.decisions["decision_id"] <= ended.decision]
    by_door = decisions[decisions["door"] == Door.SHARED]
    assert len(by_door) > 3 * len(decisions) // 4
    acted = by_door[by_door["arm"] == Arm.CHALLENGER]
    assert len(acted) > 0, "the step with a share was never reached"
    assert (by_door["abstain"] == AbstainReason.NONE).mean() > 0.9
    assert set(acted["assigned_by"]) == {AssignBy.REQUEST_KEY if by == "request_key" else AssignBy.DECISION}
