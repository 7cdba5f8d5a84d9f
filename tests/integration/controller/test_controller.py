"""The control loop over a registry in memory and journals written by hand: every way a rollout can end."""

import json
from pathlib import Path

import msgspec
import pytest
from support.journals import equal, harmful, slow
from support.tier import MODEL, Tier

from data_contracts.journal import Phase
from data_contracts.outcome import PostedOutcome
from data_contracts.policy import Policy, Rollout, Step
from serving.controller.commands import ControllerCommands
from serving.journal import read_journal
from serving.judge import RolloutVerdict, judge_journal

POLICY = Policy(
    rollout=Rollout(
        steps=(Step(share=0.0, min_decisions=200), Step(share=0.5, min_decisions=200)),
        on_success="promote_if_non_inferior",
        non_inferiority_margin_sd=0.3,
        max_decisions=20_000,
        bake_decisions=300,
    )
)
WAITING = msgspec.structs.replace(POLICY, rollout=msgspec.structs.replace(POLICY.rollout, on_success="wait"))


def tier_with_champion(path: Path, policy: Policy = POLICY) -> Tier:
    tier = Tier(path, policy)
    champion = tier.register(equal)
    tier.registry.move_alias(MODEL, "champion", champion)
    tier.until(lambda: bool(tier.table.routes) and tier.route.champion_version == champion)
    return tier


def challenge(tier: Tier, draw) -> int:
    version = tier.register(draw)
    tier.registry.move_alias(MODEL, "challenger", version)
    return version


def over(tier: Tier, version: int) -> bool:
    return any(end[1] == version for end in tier.ended())


def same_as_judge(tier: Tier) -> bool:
    judged = judge_journal(tier.state_dir / "journal")
    said = [(v.rollout_id, v.version, v.verdict, v.guardrail, v.decision) for v in judged if v.verdict]
    return said == [end for end in tier.ended() if end[0]]


def test_first_champion_is_served_and_tagged(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    assert tier.status_of(1) == "champion"
    assert (tier.route.phase, tier.route.rollout_id) == (Phase.IDLE, 0)
    tier.controller.refresh()
    assert tier.controller.snapshot.ready


@pytest.mark.parametrize(("draw", "guardrail"), [(harmful, "pnl"), (slow, "latency")])
def test_bad_challenger_is_rolled_back_and_the_judge_says_the_same(tmp_path: Path, draw, guardrail: str) -> None:
    tier = tier_with_champion(tmp_path)
    version = challenge(tier, draw)
    tier.until(lambda: over(tier, version), decisions=50)
    assert tier.ended()[-1][1:4] == (version, "rolled_back", guardrail)
    assert tier.ended()[-1][4] > 0
    assert tier.route.share_bps == 0
    early = json.loads(tier.registry.evidence(MODEL, version, "rollout-1.json"))
    assert early["rollback"]["routed_without_us"] is None  # the worker is yet to show it
    tier.restart_controller()
    tier.until(lambda: tier.controller.caught_up, decisions=10)
    assert tier.registry.aliases(MODEL) == {"champion": 1}
    assert tier.status_of(version) == "rolled_back"
    assert b"not known yet" not in tier.registry.evidence(MODEL, version, "rollout-1.html")
    evidence = json.loads(tier.registry.evidence(MODEL, version, "rollout-1.json"))
    assert evidence["ended"]["guardrail"] == guardrail
    assert evidence["decisions"]["folded"] > 0
    assert evidence["rollback"]["routed_without_us"] is not None
    assert tier.registry.version(MODEL, version).tags["ringcraft.evidence"].endswith("rollout-1.html")
    points = evidence["series"]
    assert points[-1]["decision"] == evidence["ended"]["decision"]
    assert points[-1]["evidence"][guardrail] >= 1.0
    assert all(point["evidence"][guardrail] < 1.0 for point in points[:-1])
    assert same_as_judge(tier)


def test_equal_challenger_climbs_is_promoted_and_kept(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    version = challenge(tier, equal)
    statuses = set()

    def done() -> bool:
        statuses.add(tier.status_of(version))
        return sum(end[1] == version for end in tier.ended()) == 2

    tier.until(done, decisions=50)
    assert statuses >= {"shadow", "ab:50%", "champion"}
    assert [end[2] for end in tier.ended()] == ["promoted", "promoted", "promoted"]
    tier.turn()
    assert tier.registry.aliases(MODEL) == {"champion": version}
    assert tier.status_of(1) == "retired"
    assert same_as_judge(tier)


def test_registry_away_during_a_rollback_is_written_to_when_it_is_back(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    version = challenge(tier, harmful)
    tier.until(lambda: tier.desk.state.rollout is not None and tier.desk.state.rollout.live, decisions=10)
    tier.registry.reachable = False
    tier.until(lambda: over(tier, version), decisions=50)
    assert tier.route.challenger_version == 0
    assert tier.controller.writer.waiting > 0
    tier.controller.refresh()
    assert not tier.controller.snapshot.mlflow_reachable
    tier.restart_controller()  # the outbox survives
    tier.until(lambda: tier.desk.state.champion == 1, decisions=10)
    tier.registry.reachable = True
    tier.until(lambda: tier.controller.writer.waiting == 0)
    assert tier.registry.aliases(MODEL) == {"champion": 1}
    assert tier.status_of(version) == "rolled_back"
    tier.turn(decisions=20)
    assert tier.desk.state.rollout is None


def test_controller_killed_midway_comes_to_the_same_verdict(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    version = challenge(tier, harmful)
    for _ in range(5):
        tier.until(lambda: tier.desk.state.rollout is not None, decisions=10)
        for _ in range(4):
            tier.turn(decisions=20)
        rollout_id = tier.desk.state.rollout.rollout_id
        tier.restart_controller()
    tier.until(lambda: over(tier, version), decisions=50)
    assert tier.ended()[-1][:4] == (rollout_id, version, "rolled_back", "pnl")
    tier.turn(decisions=10)
    assert same_as_judge(tier)


def test_verdict_reached_while_controller_and_registry_were_away_is_carried_out(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    version = challenge(tier, harmful)
    tier.until(lambda: tier.desk.state.rollout is not None and tier.desk.state.rollout.live, decisions=10)
    tier.turn()
    tier.registry.reachable = False
    tier.worker.decide(3000)
    tier.worker.finish()
    tier.restart_controller()
    tier.until(lambda: over(tier, version) and tier.controller.caught_up)
    assert (tier.route.champion_version, tier.route.challenger_version) == (1, 0)
    assert tier.ended()[-1][2] == "rolled_back"
    tier.registry.reachable = True
    tier.until(lambda: tier.controller.writer.waiting == 0)
    assert tier.registry.aliases(MODEL) == {"champion": 1}


def test_rolled_back_version_is_refused_until_its_tag_is_cleared(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("serving.controller.versions.RETRY_REFUSED_S", 0.0)
    tier = tier_with_champion(tmp_path)
    version = challenge(tier, harmful)
    tier.until(lambda: over(tier, version), decisions=50)
    tier.turn()
    tier.registry.move_alias(MODEL, "challenger", version)
    tier.until(lambda: tier.ended()[-1][2] == "refused")
    assert tier.status_of(version) == "quarantined"
    assert "clear its tag" in tier.registry.version(MODEL, version).tags["ringcraft.reason"]
    tier.registry.set_version_tags(MODEL, version, {"ringcraft.status": ""})
    tier.until(lambda: tier.desk.state.rollout is not None and tier.desk.state.rollout.live)


def test_version_made_for_other_features_is_refused_and_says_why(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    version = tier.register(equal, feature_hash="0" * 16)
    tier.registry.move_alias(MODEL, "challenger", version)
    tier.until(lambda: tier.status_of(version) == "refused")
    assert "live hash" in tier.registry.version(MODEL, version).tags["ringcraft.reason"]
    assert tier.route.champion_version == 1


def test_version_whose_files_were_touched_is_refused(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    version = tier.register(equal)
    tier.registry._models[MODEL].versions[version].files["model.onnx"] = b"something else"
    tier.registry.move_alias(MODEL, "challenger", version)
    tier.until(lambda: tier.status_of(version) == "refused")
    assert "SHA-256" in tier.registry.version(MODEL, version).tags["ringcraft.reason"]


def test_alias_taken_away_withdraws_and_the_judge_sees_it(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    version = challenge(tier, equal)
    tier.until(lambda: tier.desk.state.rollout is not None and tier.desk.state.rollout.live)
    tier.turn(decisions=30)
    tier.registry.delete_alias(MODEL, "challenger")
    tier.until(lambda: over(tier, version))
    tier.turn(decisions=5)
    assert tier.ended()[-1][1:] == (version, "withdrawn", "", None)
    assert tier.status_of(version) == "withdrawn"
    assert same_as_judge(tier)


def test_alias_that_somebody_moved_while_our_own_move_waited_is_theirs(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    version, other = challenge(tier, harmful), tier.register(equal)
    tier.until(lambda: tier.desk.state.rollout is not None and tier.desk.state.rollout.live, decisions=10)
    tier.controller.writer.flush = lambda: False  # MLflow is slow to take what we write
    tier.until(lambda: over(tier, version), decisions=50)
    tier.registry.move_alias(MODEL, "challenger", other)
    del tier.controller.writer.flush
    tier.until(lambda: tier.controller.writer.waiting == 0)
    assert tier.registry.aliases(MODEL) == {"champion": 1, "challenger": other}
    tier.until(lambda: tier.desk.state.rollout is not None and tier.desk.state.rollout.version == other)


def test_version_deleted_in_mlflow_is_withdrawn_and_the_champion_goes_on(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    version = challenge(tier, equal)
    tier.until(lambda: tier.desk.state.rollout is not None and tier.desk.state.rollout.live, decisions=10)
    tier.registry.delete_version(MODEL, version)
    tier.until(lambda: over(tier, version))
    assert tier.ended()[-1][1:3] == (version, "withdrawn")
    assert tier.route.champion_version == 1
    tier.until(lambda: tier.controller.writer.waiting == 0)  # a tag that nobody can take holds up nothing
    tier.turn(decisions=10)
    assert same_as_judge(tier)


def test_worker_that_dies_leaves_the_rollout_its_evidence(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    version = challenge(tier, harmful)
    tier.until(lambda: tier.route.phase == Phase.AB, decisions=50)
    folded = tier.controller.fold.model(MODEL).rollouts[1].folded
    tier.worker.due.clear()  # what its open decisions would have earned, nobody will say
    tier.adopted = 0  # started anew, it takes the routes that are published
    tier.turn(decisions=10)
    assert tier.controller.fold.model(MODEL).rollouts[1].folded >= folded
    tier.until(lambda: over(tier, version), decisions=50)
    assert tier.ended()[-1][:4] == (1, version, "rolled_back", "pnl")
    tier.turn(decisions=10)
    assert same_as_judge(tier)


def test_person_pauses_resumes_and_promotes(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path, WAITING)
    version = challenge(tier, equal)
    commands = ControllerCommands(tier.controller)
    assert not commands.promote(MODEL, dry_run=False, why="x", who="me").done
    tier.until(lambda: tier.route.phase == Phase.AB, decisions=50)
    assert commands.pause(MODEL, dry_run=False, why="lunch", who="me").done
    assert (tier.route.phase, tier.route.share_bps) == (Phase.PAUSED, 0)
    assert tier.controller.snapshot.models[0].rollout.paused
    assert commands.resume(MODEL, dry_run=False, why="back", who="me").done
    assert tier.route.share_bps == 5000
    tier.until(lambda: tier.desk.state.rollout.stage == "ready", decisions=50)
    assert commands.promote(MODEL, dry_run=True, why="good", who="me").done
    assert tier.desk.state.champion == 1
    assert commands.promote(MODEL, dry_run=False, why="good", who="me").done
    assert (tier.route.champion_version, tier.route.phase) == (version, Phase.BAKE)
    tier.turn(decisions=20)
    assert tier.registry.aliases(MODEL) == {"champion": version}
    moves = [entry for entry in tier.controller.history.entries if entry.seen == "made"]
    assert {move.who for move in moves} == {"me"}
    assert commands.rollback(MODEL, dry_run=False, why="no", who="me").done
    tier.turn(decisions=20)
    assert tier.registry.aliases(MODEL) == {"champion": 1}
    assert [v.verdict for v in judge_journal(tier.state_dir / "journal", WAITING)] == ["promoted", "withdrawn"]


def test_own_moves_are_not_taken_for_somebody_elses(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    version = challenge(tier, equal)
    tier.until(lambda: tier.desk.state.champion == version, decisions=50)
    for _ in range(5):
        tier.turn(decisions=5)
    polled = [entry for entry in tier.controller.history.entries if entry.seen == "polled"]
    assert [(entry.alias, entry.after) for entry in polled] == [("champion", 1), ("challenger", version)]


def test_verdicts_can_be_told_as_json(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    challenge(tier, equal)
    tier.until(lambda: tier.desk.state.rollout is not None and tier.desk.state.rollout.live)
    tier.turn(decisions=30)
    verdicts = judge_journal(tier.state_dir / "journal", POLICY)
    assert verdicts[0].verdict == ""
    assert msgspec.json.decode(msgspec.json.encode(verdicts), type=list[RolloutVerdict]) == verdicts


def test_rollout_keeps_its_policy_when_the_file_changes_under_it(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    version = challenge(tier, equal)
    tier.until(lambda: tier.route.phase == Phase.SHADOW)
    tier.turn(decisions=50)
    tier.policy = msgspec.structs.replace(POLICY, rollout=msgspec.structs.replace(POLICY.rollout, max_decisions=100))
    tier.restart_controller()
    tier.until(lambda: over(tier, version), decisions=50)
    assert tier.ended()[-1][1:3] == (version, "promoted")  # by the new policy it would have ended after 100
    assert judge_journal(tier.state_dir / "journal", tier.policy)[0].verdict == "inconclusive"
    tier.turn(decisions=10)
    assert same_as_judge(tier)


def test_restart_reads_only_what_came_since_and_comes_to_the_same_verdict(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    version = challenge(tier, harmful)
    tier.until(lambda: tier.route.phase == Phase.SHADOW)
    tier.turn(decisions=150)
    while not over(tier, version):
        tier.controller._judging.save(at_once=True)
        folded = tier.controller.fold.records
        tier.restart_controller()
        assert tier.controller.fold.records == folded > 0
        tier.turn(decisions=50)
    tier.turn(decisions=10)
    assert same_as_judge(tier)


@pytest.mark.parametrize("damage", ["flipped bit", "of another journal", "beyond the journal's end"])
def test_state_that_does_not_fit_the_journal_is_left_and_the_journal_folded_anew(tmp_path: Path, damage: str) -> None:
    tier = tier_with_champion(tmp_path / "one")
    challenge(tier, equal)
    tier.turn(decisions=150)
    folded = tier.controller.fold.records
    tier.controller._judging.save(at_once=True)
    state = tier.state_dir / "fold.bin"
    if damage == "flipped bit":
        raw = bytearray(state.read_bytes())
        raw[len(raw) // 2] ^= 1
        state.write_bytes(raw)
    else:
        other = tier_with_champion(tmp_path / "other")
        other.worker.event_ns += 1
        for _ in range(20 if damage == "beyond the journal's end" else 1):
            other.turn(decisions=100)
        other.controller._judging.save(at_once=True)
        state.write_bytes((other.state_dir / "fold.bin").read_bytes())
    tier.restart_controller()
    assert tier.controller.fold.records == 0
    tier.turn()
    assert tier.controller.fold.records == folded


def test_version_that_loses_by_what_is_posted_is_rolled_back_however_often_the_controller_dies(tmp_path: Path) -> None:
    """On paper both are equal; what the trading system posts of the challenger's own decisions is not."""
    pnl = msgspec.structs.replace(POLICY.guardrails.pnl, outcome="realised")
    steps = (Step(share=0.0, min_decisions=100), Step(share=0.5, min_decisions=5000))
    policy = msgspec.structs.replace(
        POLICY,
        rollout=msgspec.structs.replace(POLICY.rollout, steps=steps),
        guardrails=msgspec.structs.replace(POLICY.guardrails, pnl=pnl),
    )
    tier = tier_with_champion(tmp_path, policy)
    version = challenge(tier, equal)
    posted = 0
    for turns in range(400):
        tier.turn(decisions=25)
        rows = [row for row in read_journal(tier.state_dir / "journal").decisions if row["decision_id"] > posted]
        posted = int(rows[-1]["decision_id"])
        outcomes = [
            PostedOutcome(
                outcome_id=f"o-{row['decision_id']}",
                decision_id=int(row["decision_id"]),
                model=MODEL,
                kind="realised",
                pnl_bps=(-4.0 if row["arm"] else 0.5) + float(tier.worker.random.normal()),
                time_ns=int(row["event_ns"]),
            )
            for row in rows
            if row["action"]
        ]
        if outcomes:
            tier.controller.intake.post(outcomes)
        if turns % 7 == 3:
            tier.restart_controller()
        if turns % 7 == 5:
            tier.controller._judging.save(at_once=True)
        if over(tier, version):
            break
    assert tier.ended()[-1][1:4] == (version, "rolled_back", "pnl")
    tier.turn(decisions=10)
    assert same_as_judge(tier)
    assert judge_journal(tier.state_dir / "journal", POLICY)[0].verdict != "rolled_back"  # by mark-outs


def test_ends_and_pauses_are_told_once_even_by_two_controllers(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    version = challenge(tier, harmful)
    tier.until(lambda: tier.desk.state.rollout is not None and tier.desk.state.rollout.live, decisions=10)
    commands = ControllerCommands(tier.controller)
    assert commands.pause(MODEL, dry_run=False, why="lunch", who="me").done
    assert commands.resume(MODEL, dry_run=False, why="back", who="me").done
    tier.until(lambda: over(tier, version), decisions=50)
    tier.restart_controller()
    for _ in range(3):
        tier.turn(decisions=5)
    told = [(event["event"], event["version"]) for event in tier.told if event["version"] == version]
    assert told == [
        ("ringcraft.paused", version),
        ("ringcraft.resumed", version),
        ("ringcraft.rollout.rolled_back", version),
    ]
    end = tier.told[-1]
    assert (end["model"], end["guardrail"], end["control"], end["decision"]) == (MODEL, "pnl", 1, tier.ended()[-1][4])
    assert len({event["id"] for event in tier.told}) == len(tier.told)
