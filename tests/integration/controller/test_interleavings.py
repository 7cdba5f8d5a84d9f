"""The controller, its desk, fold, book and outbox under every order of events that Hypothesis can think of.

A person, the registry, a worker, outcomes, and deaths at any write; nothing here has a clock or a thread. What must
hold is asked of every route as it is published, of the state after every step, and of everything once it has settled.
"""

import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.any_order import SOUND, VERSIONS, HandTier, whole
from support.journals import BAKING
from support.tier import MODEL

from data_contracts.journal import Phase, RecordType, TripKind
from data_contracts.policy import Guardrails, Outcomes, PnlGuard, Policy, Rollout, Step
from native._native import Route
from serving.controller.commands import ControllerCommands
from serving.controller.writer import BARRED

STEPS = (
    Step(share=0.0, min_decisions=20, min_seconds=2.0),
    Step(share=0.1, min_decisions=20),
    Step(share=0.5, min_decisions=20),
)
POLICIES = {
    "wait": Rollout(steps=STEPS, bake_decisions=30, max_decisions=1500),
    "promote": Rollout(
        steps=STEPS,
        on_success="promote_if_non_inferior",
        non_inferiority_margin_sd=3.0,
        bake_decisions=30,
        max_decisions=1500,
    ),
    "no bake": Rollout(steps=STEPS[:2], bake_decisions=0, max_decisions=60),
}
ALIASES = st.sampled_from(["champion", "challenger", "challenger", "shadow", "shadow-2"])
PLACES = st.sampled_from(VERSIONS) | st.sampled_from([1, 2])


def policy(name: str) -> Policy:
    guards = Guardrails(pnl=PnlGuard(silent_decisions=40))
    return Policy(rollout=POLICIES[name], guardrails=guards, outcomes=Outcomes(watermark_seconds=2.0))


class AnyInterleaving(RuleBasedStateMachine):
    """One tier, and what must be so of it whatever happens."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm")  # thousands of renames: a disk would be all of it
        self.patch = pytest.MonkeyPatch()
        self.barred: set[int] = set()
        self.said: dict[int, tuple[str, str, int | None]] = {}

    @initialize(name=st.sampled_from(sorted(POLICIES)))
    def starts(self, name: str) -> None:
        self.tier = HandTier(Path(self.folder.name), policy(name), self.patch)
        publish = self.tier.table.publish

        def checked(routes: list[Route], after: int) -> int:
            self.check_route(routes[0])
            return publish(routes, after)

        self.patch.setattr(self.tier.table, "publish", checked)
        self.tier.registry.move_alias(MODEL, "champion", 1)
        self.tier.settle(3)

    def teardown(self) -> None:
        try:
            if hasattr(self, "tier"):
                self.settles()
        finally:
            if hasattr(self, "tier"):
                self.tier.close()
            self.patch.undo()
            self.folder.cleanup()

    # --- a person and the registry --------------------------------------------

    @rule(version=PLACES, rounds=st.integers(0, 4))
    def person_challenges(self, version: int, rounds: int) -> None:
        self.person_moves_an_alias("challenger", version)
        self.rounds(rounds, 7)

    @rule(alias=ALIASES, version=PLACES)
    def person_moves_an_alias(self, alias: str, version: int) -> None:
        if version in self.versions and self.tier.registry.reachable:
            self.tier.registry.move_alias(MODEL, alias, version)

    @precondition(lambda self: self.tier.registry.reachable)
    @rule(alias=ALIASES, version=st.sampled_from([0, 0, 0, *VERSIONS[2:]]))
    def person_deletes_an_alias_or_a_version(self, alias: str, version: int) -> None:
        """MLflow takes a version's aliases with it."""
        if not version:
            self.tier.registry.delete_alias(MODEL, alias)
            return
        if version in self.versions:
            self.tier.registry.delete_version(MODEL, version)

    @precondition(lambda self: self.tier.registry.reachable and not self.tier.controller.writer.waiting)
    @rule(version=st.sampled_from(VERSIONS))
    def person_clears_a_tag(self, version: int) -> None:
        kept = self.versions.get(version)
        if kept is not None and kept.tags.get("ringcraft.status") in BARRED:
            kept.tags["ringcraft.status"] = ""
            self.barred.discard(version)

    @rule(verb=st.sampled_from(["promote", "rollback", "pause", "resume"]))
    def person_commands(self, verb: str) -> None:
        command = getattr(ControllerCommands(self.tier.controller), verb)
        self.tier.mortal(lambda: command(MODEL, dry_run=False, why="so", who="me"))

    # --- the worker -----------------------------------------------------------

    @rule(count=st.sampled_from([0, 1, 30, 450]), written=st.booleans())
    def worker_decides(self, count: int, written: bool) -> None:
        self.tier.adopt()
        self.tier.decide(count)
        if written:
            self.tier.append()

    @rule(seconds=st.sampled_from([0, 1, 10]))
    def outcomes_are_lost_or_late(self, seconds: int) -> None:
        due = self.tier.worker.due
        self.tier.worker.due = [(at + seconds * 1_000_000_000, *rest) for at, *rest in due] if seconds else []

    @precondition(lambda self: self.tier.worker.route.get("rollout_id"))
    @rule(kind=st.sampled_from([TripKind.JOURNAL_DROPS, TripKind.LATE_OR_FAILED]))
    def worker_trips(self, kind: TripKind) -> None:
        worker = self.tier.worker
        baking = worker.route["phase"] in BAKING
        worker.writer.add(
            RecordType.TRIP,
            decision_id=worker.decision_id,
            version=worker.route["champion" if baking else "challenger"],
            rollout_id=worker.route["rollout_id"],
            kind=int(kind),
            arm=0 if baking else 1,
        )

    @rule(registry=st.booleans())
    def registry_or_worker_goes_or_comes(self, registry: bool) -> None:
        if registry:
            self.tier.registry.reachable = not self.tier.registry.reachable
        else:
            self.tier.restart_worker()

    # --- the controller -------------------------------------------------------

    @rule(part=st.sampled_from(["poll", "prepare", "turn", "append", "write_back"]))
    def one_part_moves(self, part: str) -> None:
        if part == "turn":
            self.turn()
        else:
            getattr(self.tier, part)()

    @rule(count=st.integers(1, 8), decisions=st.sampled_from([0, 7, 30, 30, 60]))
    def rounds(self, count: int, decisions: int) -> None:
        for _ in range(count):
            self.tier.mortal(self.tier.poll)
            self.tier.prepare()
            self.turn()
            self.tier.adopt()
            self.tier.decide(decisions)
            self.tier.append()
            self.turn()
            self.tier.write_back()

    @rule(writes=st.none() | st.integers(0, 12))
    def controller_dies(self, writes: int | None) -> None:
        """At once, or before the write that is so many away."""
        if writes is None:
            self.tier.restart()
        else:
            self.tier.killer.left = writes

    @rule(name=st.sampled_from(sorted(POLICIES)))
    def policy_is_read_again(self, name: str) -> None:
        """As the controller takes it from its file, without the clock that says when to look."""
        rollout = self.tier.desk.state.rollout
        judged_by = rollout.policy if rollout is not None and rollout.live else None
        self.tier.policy = self.tier.controller.policies.of_file = policy(name)
        assert judged_by is None or self.tier.desk.policy == judged_by

    @rule(rounds=st.integers(1, 3))
    def person_resumes_and_it_goes_on(self, rounds: int) -> None:
        """Whoever paused it, a person or the journal."""
        self.person_commands("resume")
        self.rounds(rounds, 30)

    @rule()
    def settles(self) -> None:
        self.tier.killer.left = None
        self.tier.registry.reachable = True
        self.rounds(8, 0)
        self.check_settled()
        state, booked = self.tier.desk_state(), self.tier.booked()
        self.tier.restart()
        self.rounds(4, 0)
        assert self.tier.booked() == booked
        assert standing(self.tier.desk_state()) == standing(state)

    @property
    def versions(self):
        return self.tier.registry._models[MODEL].versions

    # --- what must hold -------------------------------------------------------

    def turn(self) -> None:
        rollout = self.tier.desk.state.rollout
        before = msgspec.structs.replace(rollout) if rollout is not None else None
        restarts = self.tier.restarts
        self.tier.turn_controller()
        if before is None or not before.paused or self.tier.restarts != restarts:
            return
        ended = self.tier.booked().get(before.rollout_id)
        assert ended is None or ended[0] != "promoted" or ended[2] is None, f"promoted while paused: {ended}"

    def check_route(self, route: Route) -> None:
        acting = whole(route)
        at_most = max(
            (step.share for step in self.tier.desk.policy.rollout.steps[: route.step + 1]), default=0.0
        )  # of steps that do not fall
        assert route.share_bps <= round(at_most * 10_000), acting
        assert route.phase == Phase.AB or route.share_bps == 0, acting
        for version in {acting["champion"], acting["challenger"]} - {0}:
            assert version in SOUND, acting
            assert version not in self.barred, acting
        if route.share_bps:
            judged = self.tier.judged().get(route.rollout_id)
            read = self.tier.controller.fold.records
            assert judged is None or not judged.verdict or read < self.tier.worker.writer.written, judged

    @invariant()
    def ends_are_said_once(self) -> None:
        if not hasattr(self, "tier"):
            return
        for rollout_id, end in self.tier.booked().items():
            before = self.said.get(rollout_id)
            # What was said of an end from outside may be amended by what the journal shows; nothing else changes.
            assert before in (None, end) or before[2] is None, (rollout_id, before, end)
            version = self.version_of(rollout_id)
            if before != end and end[0] == "rolled_back" and version != self.tier.desk.state.champion:
                self.barred.add(version)  # made champion by hand before it was found: a person's to take back
            self.said[rollout_id] = end

    def version_of(self, rollout_id: int) -> int:
        return next(e.version for e in self.tier.controller._book.entries if e.rollout_id == rollout_id)

    @invariant()
    def history_is_a_chain(self) -> None:
        if not hasattr(self, "tier"):
            return
        held: dict[str, int | None] = {}
        moves = [entry for entry in self.tier.controller.history.entries if entry.seen != "gap"]
        for entry in moves:
            assert entry.before == held.get(entry.alias), entry
            assert entry.after != entry.before, entry
            held[entry.alias] = entry.after

    @invariant()
    def one_rollout_is_routed(self) -> None:
        if not hasattr(self, "tier"):
            return
        rollout = self.tier.desk.state.rollout
        if rollout is not None and rollout.live:
            assert rollout.rollout_id not in self.tier.booked()
            assert rollout.control is not None
            assert rollout.version != rollout.control

    def check_settled(self) -> None:
        tier = self.tier
        assert tier.controller.writer.waiting == 0
        aliases = tier.registry.aliases(MODEL)
        assert aliases == tier.desk.wanted
        state, versions = tier.desk.state, self.versions
        rollout = state.rollout
        if state.champion in versions:
            assert tier.status_of(state.champion) == "champion"
            assert tier.route.champion_version == state.champion
        if rollout is not None and rollout.live:
            assert tier.route.rollout_id == rollout.rollout_id
            assert (tier.route.phase in (Phase.PAUSED, Phase.BAKE_PAUSED)) == bool(rollout.paused)
            assert (tier.route.phase in BAKING) == (rollout.kind == "bake")
            if rollout.kind == "challenger":
                assert tier.status_of(rollout.version) == tier.desk.status
        for alias, version in aliases.items():
            if version in self.barred and version != state.champion:
                assert tier.status_of(version) == "quarantined", alias
        self.check_judge()

    def check_judge(self) -> None:
        judged = {i: (v.verdict, v.guardrail, v.decision) for i, v in self.tier.judged().items()}
        booked = self.tier.booked()
        for rollout_id, verdict in judged.items():
            if not verdict[0]:
                assert rollout_id not in booked, (rollout_id, booked[rollout_id])
                continue
            stopped = verdict[0] == "promoted" and verdict[2] is not None
            held = self.tier.desk.state.rollout is not None and self.tier.desk.state.rollout.earned is not None
            if stopped and (held or booked[rollout_id][0] == "withdrawn"):
                continue  # earned as a person paused or took it away
            assert booked.get(rollout_id) == verdict, (rollout_id, verdict)


def standing(state):
    """What serves and what is judged; a version that cannot be loaded is tried again and again beside it."""
    live = state.rollout is not None and state.rollout.live
    return state.champion, state.rollout if live else None, state.last


TestAnyInterleaving = pytest.mark.slow(AnyInterleaving.TestCase)
TestAnyInterleaving.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


@pytest.mark.long
@pytest.mark.parametrize("part", range(5))
def test_many_more_interleavings(part: int) -> None:
    """1,500 in all, a part in some minutes of processor time; each draws its own."""
    run_state_machine_as_test(
        AnyInterleaving, settings=settings(max_examples=300, stateful_step_count=50, deadline=None, database=None)
    )
