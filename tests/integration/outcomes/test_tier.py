"""Outcomes posted to a controller whose worker decides: joined, added up, compared, and the same after a restart."""

from pathlib import Path

import msgspec
import pytest
from support.journals import equal
from support.tier import MODEL, Tier

from data_contracts.outcome import PostedOutcome
from data_contracts.policy import Policy, Reconciliation
from serving.console.metrics import SnapshotCollector
from serving.outcomes.cells import BY, table_by
from serving.outcomes.ledger import book_of


def trades_of(tier: Tier) -> list[tuple[int, float]]:
    """Every decision with an action and a mark-out, and what paper says."""
    from serving.journal import read_journal

    journal = read_journal(tier.state_dir / "journal")
    marked = {int(row["decision_id"]): row for row in journal.markouts}
    acted = [(int(row["decision_id"]), int(row["action"])) for row in journal.decisions if row["action"]]
    sides = {1: "buy_pnl_bps", -1: "sell_pnl_bps"}
    return [(number, float(marked[number][sides[action]])) for number, action in acted if number in marked]


def realised(number: int, pnl_bps: float) -> PostedOutcome:
    return PostedOutcome(
        outcome_id=f"r-{number}", decision_id=number, model=MODEL, kind="realised", pnl_bps=pnl_bps, time_ns=1
    )


def metrics_of(tier: Tier) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return what /metrics says, by name and labels."""
    metrics = SnapshotCollector(lambda: tier.controller.snapshot).collect()
    return {(one.name, tuple(one.labels.values())): one.value for metric in metrics for one in metric.samples}


@pytest.mark.parametrize("action", ["alarm", "pause"])
def test_paper_and_realised_part_and_agree_again(action: str, tmp_path: Path) -> None:
    policy = Policy(reconciliation=Reconciliation(action=action, tolerance_bps=0.5, min_outcomes=100))  # type: ignore[arg-type]
    tier = Tier(tmp_path, policy)
    tier.registry.move_alias(MODEL, "champion", tier.register(equal))
    tier.until(lambda: tier.desk.state.champion == 1)
    tier.registry.move_alias(MODEL, "challenger", tier.register(equal))
    tier.until(lambda: tier.desk.state.rollout is not None and tier.desk.state.rollout.live)
    tier.until(lambda: len(trades_of(tier)) > 150, decisions=100)
    posted = trades_of(tier)
    tier.controller.intake.post([realised(number, paper - 3.0) for number, paper in posted])
    tier.turn()
    tier.controller.refresh()
    (said,) = tier.controller.snapshot.outcomes.reconciliation
    assert (said.version, said.raised, said.matched) == (1, True, len(posted))
    assert said.since_decision in {number for number, _ in posted}
    assert bool(tier.desk.state.rollout.paused) == (action == "pause")
    # Told once, and a pause asked for once, though the restarted controller adds up the journal and outcomes again.
    tier.desk.resume()
    tier.turn()
    tier.restart_controller()
    tier.until(lambda: tier.controller.caught_up and tier.controller.snapshot.outcomes.counts["matched"] == len(posted))
    assert not tier.desk.state.rollout.paused
    (notice,) = [event for event in tier.told if event["event"] == "ringcraft.alarm"]
    assert (notice["model"], notice["version"], notice["decision"]) == (MODEL, 1, said.since_decision)
    assert notice["reason"].startswith("reconciliation: realised is -3 bps a decision from paper (-3 to -3), tolerance")
    assert len([event for event in tier.told if event["event"] == "ringcraft.paused"]) == (action == "pause")
    values = metrics_of(tier)
    assert values["ringcraft_alarm", (MODEL, "1", "reconciliation")] == 1.0
    assert values["ringcraft_watch_value", (MODEL, "1", "reconciliation")] < -0.5
    assert values["ringcraft_watch_limit", (MODEL, "1", "reconciliation")] == 0.5
    assert values["ringcraft_outcomes_total", ("matched",)] == len(posted)
    tier.until(lambda: len(trades_of(tier)) > len(posted) + 300, decisions=200)
    tier.controller.intake.post([realised(number, paper) for number, paper in trades_of(tier)[len(posted) :]])
    tier.turn()
    tier.controller.refresh()
    (said,) = tier.controller.snapshot.outcomes.reconciliation
    assert not said.raised
    assert "alarm_cleared" in [event.kind for event in tier.controller.snapshot.events]
    cleared = [event for event in tier.told if event["event"] == "ringcraft.alarm_cleared"]
    assert [(one["version"], one["reason"].split(":")[0]) for one in cleared] == [(1, "reconciliation")]
    assert metrics_of(tier)["ringcraft_alarm", (MODEL, "1", "reconciliation")] == 0.0


def test_after_a_restart_and_offline_the_tables_are_the_same(tmp_path: Path) -> None:
    tier = Tier(tmp_path, Policy())
    tier.registry.move_alias(MODEL, "champion", tier.register(equal))
    tier.until(lambda: tier.desk.state.champion == 1)
    for _ in range(4):
        tier.turn(60)
        posted = trades_of(tier)[::2]
        tier.controller.intake.post([realised(number, paper) for number, paper in posted])
        tier.restart_controller()
    tier.controller.intake.post([realised(10**6, 1.0), realised(trades_of(tier)[1][0], 2.5)])
    for _ in range(5):
        tier.turn()
    live = tier.controller.pnl(BY)
    counts = tier.controller.snapshot.outcomes.counts
    offline = book_of(tier.state_dir / "journal", Policy().reconciliation)
    assert msgspec.json.encode(live) == msgspec.json.encode(table_by(offline.cells.items(), BY))
    tier.controller.refresh()
    counts = tier.controller.snapshot.outcomes.counts
    assert (counts["unknown"], counts["matched"]) == (1, len(trades_of(tier)[::2]) + 1)
    assert sum(row.sums.both for row in live) == counts["matched"]
