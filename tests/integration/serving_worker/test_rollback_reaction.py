"""A rollback takes effect in the worker itself: a real controller, a real worker process, a real feed under way."""

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from controlled import controlled
from worker_kit import IF, MODEL, linear_graph, touch_events, wait_for, write_version

from data_contracts.feed_hello import FeedHello, write_hello
from data_contracts.instrument import Instrument
from data_contracts.journal import Arm, RecordType
from data_contracts.policy import HardLimits, Policy, Rollout, Step
from registry.memory import MemoryRegistry
from serving.journal import Journal, read_journal
from serving.rollout.fold import JournalFold
from serving.rollout.policies import policies_beside
from serving.rollout.reaction import Reaction

STEPS = (Step(share=0.0, min_decisions=50), Step(share=0.5, min_decisions=1_000_000))
GENEROUS = HardLimits(late_or_failed_of_64=64, loss_budget_bps=1e12)


def rolled_back(folder: Path, policy: Policy) -> tuple[Reaction, Journal, dict[str, Any]]:
    """What journal and evidence show of a challenger that trades on nothing beside a champion that never trades."""
    champion = write_version(folder / "1", linear_graph, threshold=2.0)
    challenger = write_version(folder / "2", lambda path: linear_graph(path, bias=(0.0, 0.0, 90.0)))
    with controlled(folder, policy) as ours:
        running, registry, controller = ours.running, ours.registry, ours.controller
        ours.deploy("champion", champion)
        ours.deploy("challenger", challenger)
        feed = running.feed(hello=False)
        feed.send(1, write_hello(FeedHello(instruments=(Instrument(**_facts() | {"fee_bps": 0.0}),))))
        assert feed.receive() == {"accepted": True}
        sent = 0
        while not controller._book.entries[-1].ended or sent == 0:
            feed.events(touch_events(20, start=sent))
            sent += 20
            time.sleep(0.005)
            assert sent < 40_000, "no verdict"
        feed.events(touch_events(200, start=sent))
        feed.end()
        feed.close()
        wait_for(lambda: _evidence(registry).get("rollback", {}).get("routed_without_us"), "the whole evidence")
        running.stop()
        journal = read_journal(running.journal)
        fold = JournalFold(policies_beside(running.state / "journal").of)
        fold.consume(journal.records)
    (judged,) = [one for one in fold.models[0].rollouts.values() if one.version == 2]
    assert judged.concluded.verdict == "rolled_back"
    assert judged.reaction is not None
    evidence = _evidence(registry)
    assert evidence["ended"]["guardrail"] == judged.concluded.guardrail
    told = {"decisions_after": judged.reaction.decisions, "routed_without_us": judged.reaction.took_us}
    assert evidence["rollback"] == told
    first = next(one for one in journal.select(RecordType.EPOCH) if one["rollout_id"])
    arrival = evidence["arrival"]
    assert arrival["in_shadow_ns"] == first["wall_ns"]
    stages = [arrival[f"{name}_ns"] for name in ("alias_not_before", "alias_seen", "verified", "warmed", "in_shadow")]
    assert stages == sorted(stages)
    assert arrival["seen_to_shadow_ms"] == (stages[4] - stages[1]) / 1e6 < 20_000
    page = registry.evidence(MODEL, 2, f"rollout-{judged.rollout_id}.html").decode()
    assert f"{judged.reaction.took_us:,.0f} µs" in page
    assert "not known" not in page[page.index("How soon") : page.index("Again, by yourself")]
    return judged.reaction, journal, evidence


def _evidence(registry: MemoryRegistry) -> dict[str, Any]:
    found = registry._version(MODEL, 2).evidence
    return next((json.loads(content) for name, content in found.items() if name.endswith(".json")), {})


def _facts() -> dict[str, object]:
    return {name: getattr(IF, name) for name in IF.__struct_fields__}


def test_hard_limit_leaves_the_challenger_no_further_decision(tmp_path: Path, record_property) -> None:
    policy = Policy(rollout=Rollout(steps=STEPS), limits=msgspec.structs.replace(GENEROUS, drawdown_budget_bps=30.0))
    reaction, journal, evidence = rolled_back(tmp_path, policy)
    (trip,) = journal.select(RecordType.TRIP)
    decisions = journal.decisions
    after = decisions[decisions["decision_id"] > trip["decision_id"]]
    record_property("trip_to_next_decision_us", reaction.took_us)
    assert evidence["ended"]["guardrail"] == "limit:drawdown"
    assert len(after) > 100
    assert not (after["arm"] == Arm.CHALLENGER).any()
    assert reaction.decisions == 0
    assert reaction.took_us is not None
    assert reaction.took_us == max(0, after["answer_ns"][0] - trip["wall_ns"]) / 1000


def test_statistical_verdict_holds_from_the_next_epoch(tmp_path: Path, record_property) -> None:
    reaction, journal, evidence = rolled_back(tmp_path, Policy(rollout=Rollout(steps=STEPS), limits=GENEROUS))
    epochs, decisions = journal.select(RecordType.EPOCH), journal.decisions
    left = next(one for one in epochs[::-1] if one["rollout_id"] == 0)
    record_property("verdict_to_epoch_us", reaction.took_us)
    record_property("challenger_decisions_after_the_verdict", reaction.decisions)
    assert evidence["ended"]["guardrail"] == "pnl"
    acted = decisions[(decisions["arm"] == Arm.CHALLENGER) & (decisions["answer_ns"] > reaction.verdict_ns)]
    assert reaction.decisions == len(acted)
    assert (acted["decision_id"] < left["next_decision_id"]).all()
    assert reaction.took_us == (left["wall_ns"] - reaction.verdict_ns) / 1000
    assert reaction.took_us < 5e6
    assert np.isin(decisions["arm"][decisions["decision_id"] >= left["next_decision_id"]], [Arm.CHAMPION]).all()
