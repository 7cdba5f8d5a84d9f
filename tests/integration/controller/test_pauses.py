"""What pauses a rollout is heard once, whatever else goes wrong; and what a stopped tier goes on from."""

from pathlib import Path

import pytest
from support.journals import Answer, World, equal
from support.tier import MODEL, MemoryTable, Tier

from data_contracts.journal import Phase, RecordType, TripKind
from data_contracts.policy import Guardrails, PnlGuard, Policy, Rollout, Step
from serving.controller.commands import ControllerCommands

POLICY = Policy(
    rollout=Rollout(steps=(Step(share=0.0, min_decisions=100), Step(share=0.5, min_decisions=100))),
    guardrails=Guardrails(pnl=PnlGuard(silent_decisions=50)),
)


def always(random, id_: int) -> World:
    """Both buy at every decision, so that every decision needs its outcome."""
    return World(Answer(action=1), Answer(action=1), float(random.normal()), 0.0)


def in_shadow(path: Path, draw=equal) -> Tier:
    tier = Tier(path, POLICY)
    for alias in ("champion", "challenger"):
        version = tier.register(draw)
        tier.registry.move_alias(MODEL, alias, version)
        tier.until(lambda: bool(tier.table.routes) and tier.route.champion_version == 1)
    tier.until(lambda: tier.route.phase == Phase.SHADOW)
    tier.turn()
    return tier


def test_rollout_that_lost_records_goes_on_to_the_next_step_once_a_person_resumes_it(tmp_path: Path) -> None:
    tier = in_shadow(tmp_path)
    rollout = tier.desk.state.rollout
    tier.turn(decisions=10)
    trip = {"decision_id": tier.worker.decision_id, "version": rollout.version, "rollout_id": rollout.rollout_id}
    tier.worker.writer.add(RecordType.TRIP, kind=int(TripKind.JOURNAL_DROPS), arm=1, value=3, **trip)
    tier.turn(decisions=10)
    assert "journal_drops" in tier.desk.state.rollout.paused
    assert tier.route.phase == Phase.PAUSED
    for _ in range(10):
        tier.turn(decisions=30)
    assert tier.route.phase == Phase.PAUSED
    assert ControllerCommands(tier.controller).resume(MODEL, dry_run=False, why="disk is back", who="me").done
    tier.until(lambda: tier.route.share_bps == 5000, decisions=30)
    assert tier.desk.state.rollout.rollout_id == rollout.rollout_id


def test_pause_found_in_a_turn_that_failed_is_heard_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fold says it once: a turn that ends in an error must not lose it."""
    tier = in_shadow(tmp_path, always)

    def full(_records: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tier.controller._judging.ledger, "turn", full)
    for _ in range(60):
        tier.worker.due.clear()  # a turn is shorter than the horizon: no outcome ever comes
        with pytest.raises(OSError, match="No space"):
            tier.turn(decisions=4)
    assert not tier.desk.state.rollout.paused
    monkeypatch.undo()
    tier.turn()
    assert "the PnL feed is silent" in tier.desk.state.rollout.paused
    assert tier.route.phase == Phase.PAUSED


def test_epochs_of_a_tier_that_was_stopped_go_on_from_the_journals_last(tmp_path: Path) -> None:
    tier = in_shadow(tmp_path)
    tier.turn(decisions=10)
    last = tier.controller.fold.newest_epoch
    assert last > 1
    tier.table = MemoryTable()  # a clean stop leaves no shared memory behind
    tier.adopted = 0
    tier.restart_controller()
    tier.until(lambda: bool(tier.table.routes))
    assert tier.table.epoch > last


def test_bake_that_was_paused_before_a_worker_took_it_up_is_judged_as_a_bake(tmp_path: Path) -> None:
    """Its first epoch in the journal is a pause, and the version on trial is the one that acts."""
    tier = in_shadow(tmp_path)
    commands = ControllerCommands(tier.controller)
    assert commands.promote(MODEL, dry_run=False, why="so", who="me").done
    assert commands.pause(MODEL, dry_run=False, why="wait", who="me").done
    bake = tier.desk.state.rollout
    assert (bake.kind, bake.version, bake.control) == ("bake", 2, 1)
    tier.turn(decisions=10)
    assert tier.route.phase == Phase.BAKE_PAUSED
    assert commands.resume(MODEL, dry_run=False, why="on", who="me").done
    tier.until(lambda: tier.desk.state.rollout is None, decisions=30)
    judged = tier.controller.fold.models[0].rollouts[bake.rollout_id]
    assert (judged.kind, judged.version, judged.control) == ("bake", 2, 1)
    assert tier.status_of(2) == "champion"
    assert tier.ended()[-1][:3] == (bake.rollout_id, 2, "promoted")
