"""The desk of one model under every order of events that Hypothesis can think of."""

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.desks import POLICY, concluded

from serving.rollout.desk import Desk
from serving.rollout.desk_state import DeskState, copy_of
from serving.rollout.effects import DeleteAlias, Ended, MoveAlias
from serving.rollout.events import Paused, ReadyToPromote, StepAdvanced

VERSIONS = st.integers(1, 4)


class AnyOrder(RuleBasedStateMachine):
    """A person, the registry, checks and evidence in any order; a restart at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.ids = itertools.count(1)
        self.desk = Desk(DeskState(model="m", index=0), POLICY, lambda: next(self.ids))
        self.registry: dict[str, int] = {}
        self.passed: set[int] = set()
        self.ended: list[Ended] = []
        self.ever_passed: set[int] = set()

    def _settle(self) -> None:
        """Carry out what the desk asks, as the writer would; poll again."""
        for effect in self.desk.effects:
            if isinstance(effect, MoveAlias) and self.registry.get(effect.alias) in (effect.expected, effect.version):
                self.registry[effect.alias] = effect.version
            elif isinstance(effect, DeleteAlias) and self.registry.get(effect.alias) == effect.version:
                del self.registry[effect.alias]
            elif isinstance(effect, Ended):
                self.ended.append(effect)
        self.desk.effects.clear()

    @rule(alias=st.sampled_from(["champion", "challenger", "shadow"]), version=st.none() | VERSIONS)
    def person_moves_an_alias(self, alias: str, version: int | None) -> None:
        if version is None:
            self.registry.pop(alias, None)
        else:
            self.registry[alias] = version
        self.poll()

    @rule()
    def poll(self) -> None:
        self.desk.aliases(self.registry)
        self._settle()
        self.desk.aliases(self.registry)
        self._settle()

    @rule(version=VERSIONS)
    def check_passes(self, version: int) -> None:
        if version in self.desk.versions():
            self.passed.add(version)
            self.ever_passed.add(version)
            self.desk.passed(version)
            self._settle()

    @rule(version=VERSIONS)
    def check_fails(self, version: int) -> None:
        if version in self.desk.versions() and version not in self.passed:
            self.desk.refused(version, "no")
            self._settle()

    @precondition(lambda self: self.desk.state.rollout is not None and self.desk.state.rollout.live)
    @rule(verdict=st.sampled_from(["rolled_back", "promoted", "inconclusive"]))
    def evidence_concludes(self, verdict: str) -> None:
        version = self.desk.state.rollout.version
        self.desk.folded(concluded(self.desk, verdict))
        if verdict == "rolled_back":
            self.passed.discard(version)
            assert version != self.desk.state.champion
        self._settle()

    @precondition(lambda self: self.desk.state.rollout is not None and self.desk.state.rollout.live)
    @rule(step=st.integers(0, 2), kind=st.sampled_from([StepAdvanced, ReadyToPromote, Paused]))
    def evidence_goes_on(self, step: int, kind: type) -> None:
        rollout = self.desk.state.rollout
        if rollout.kind == "bake" and kind is not Paused:
            return
        extra = {StepAdvanced: {"step": step}, ReadyToPromote: {}, Paused: {"reason": "drops"}}[kind]
        self.desk.folded(kind(model="m", rollout_id=rollout.rollout_id, version=rollout.version, decision=5, **extra))
        self._settle()

    @rule(verb=st.sampled_from(["promote", "rollback", "pause", "resume"]))
    def person_commands(self, verb: str) -> None:
        getattr(self.desk, verb)(*(() if verb == "resume" else ("why",)))
        self._settle()

    @rule()
    def controller_restarts(self) -> None:
        self.desk = Desk(copy_of(self.desk.state), POLICY, lambda: next(self.ids))

    @invariant()
    def what_is_served_has_passed_its_checks(self) -> None:
        served = self.desk.state.champion
        assert served is None or served in self.ever_passed

    @invariant()
    def challenger_is_never_the_champion(self) -> None:
        rollout = self.desk.state.rollout
        if rollout is not None and rollout.live:
            assert rollout.control is not None
            assert rollout.version != rollout.control
            champion = self.desk.state.champion
            assert champion == (rollout.version if rollout.kind == "bake" else rollout.control)

    @invariant()
    def only_a_live_challenger_has_a_share(self) -> None:
        rollout = self.desk.state.rollout
        if self.desk.share:
            assert rollout is not None
            assert rollout.kind == "challenger"
            assert rollout.live

    @invariant()
    def rollout_follows_its_alias(self) -> None:
        rollout = self.desk.state.rollout
        if rollout is not None and rollout.kind == "challenger":
            assert self.desk.wanted.get("challenger") == rollout.version

    @invariant()
    def every_rollout_ends_at_most_once(self) -> None:
        ids = [e.rollout_id for e in self.ended if e.rollout_id]
        assert len(ids) == len(set(ids))
        if self.desk.state.rollout is not None:
            assert self.desk.state.rollout.rollout_id not in ids

    @invariant()
    def what_is_served_is_wanted_ready(self) -> None:
        held = self.desk.versions()
        rollout = self.desk.state.rollout
        if self.desk.state.champion is not None:
            assert self.desk.state.champion in held
        if rollout is not None and rollout.live:
            assert {rollout.version, rollout.control} <= set(held)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
