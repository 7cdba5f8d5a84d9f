"""The fold saved anywhere and loaded again goes on bit for bit; what cannot be taken up says why."""

from collections import deque
from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.journals import Answer, SyntheticWorker, World, equal, harmful, slow

from data_contracts.errors import StateError
from data_contracts.journal import RECORD_BYTES, MarkoutStatus, Phase, RecordType, TripKind
from data_contracts.policy import Guardrails, PnlGuard, Policy, Rollout, Step
from serving.judge import verdicts
from serving.rollout.fold import JournalFold
from serving.rollout.keeping import pack, unpack
from serving.rollout.tally import ArmTally

POLICY = Policy(
    rollout=Rollout(
        steps=(Step(share=0.0, min_decisions=300), Step(share=0.5, min_decisions=200)),
        on_success="promote_if_non_inferior",
        non_inferiority_margin_sd=0.5,
        max_decisions=700,
        bake_decisions=200,
    ),
    guardrails=Guardrails(pnl=PnlGuard(silent_decisions=40)),
)


def erratic(random: np.random.Generator, id_: int) -> World:
    """Now and then an answer fails, a score is dropped, or nobody can say what a decision earned."""
    world = equal(random, id_)
    if random.random() < 0.02:
        world.challenger = Answer(abstain=11)
    world.challenger.dropped = bool(random.random() < 0.1)
    if random.random() < 0.01:
        world.buy = float("inf")
    return world


@cache
def journal(kind: str, seed: int) -> bytes:
    """A whole life: outside a rollout, shadow, A/B, paused, lost outcomes, a trip, the next one, its bake."""
    worker = SyntheticWorker({"equal": equal, "harmful": harmful, "slow": slow, "erratic": erratic}[kind], seed=seed)
    worker.adopt(champion=1)
    worker.decide(20)
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.SHADOW)
    worker.decide(330)
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.AB, step=1, share_bps=5000)
    worker.decide(60)
    worker.due.clear()
    worker.decide(40)
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.PAUSED, step=1)
    worker.decide(20)
    worker.writer.add(RecordType.MARKOUT, decision_id=worker.decision_id - 15, status=int(MarkoutStatus.NEVER))
    worker.writer.add(RecordType.TRIP, version=2, rollout_id=1, kind=int(TripKind.JOURNAL_DROPS), arm=1, value=3)
    worker.adopt(rollout_id=2, champion=1, challenger=3, phase=Phase.SHADOW)
    worker.decide(40)
    worker.adopt(rollout_id=3, champion=3, challenger=1, phase=Phase.BAKE)
    worker.decide(250)
    worker.finish()
    return worker.writer.bytes()


@pytest.mark.parametrize("kind", ["equal", "harmful", "slow", "erratic"])
@given(data=st.data(), seed=st.integers(0, 2))
@settings(max_examples=8, deadline=None)
def test_saved_anywhere_and_loaded_goes_on_bit_for_bit(kind: str, data: st.DataObject, seed: int) -> None:
    records = journal(kind, seed)
    count = len(records) // RECORD_BYTES
    cuts = sorted(data.draw(st.sets(st.integers(0, count), max_size=4)))
    straight = JournalFold(POLICY)
    expected = straight.consume(records)
    fold, got = JournalFold(POLICY), []
    for start, end in zip([0, *cuts], [*cuts, count], strict=True):
        got += fold.consume(records[start * RECORD_BYTES : end * RECORD_BYTES])
        fold = JournalFold.load(fold.save(), POLICY)
        assert fold.records == end
    assert got == expected
    assert verdicts(fold) == verdicts(straight)
    # Packed, every attribute of every object is told apart to the last bit.
    assert pack(fold) == pack(straight)
    for model, other in zip(fold.models.values(), straight.models.values(), strict=True):
        for rollout_id, rollout in model.rollouts.items():
            # As text: an e-value may be NaN.
            assert repr(rollout.guards.readings()) == repr(other.rollouts[rollout_id].guards.readings())


def test_loaded_fold_asks_for_the_policies_of_rollouts_to_come() -> None:
    worker = SyntheticWorker(equal)
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.SHADOW)
    worker.decide(10)
    fold = JournalFold(POLICY)
    fold.consume(worker.writer.bytes())
    asked: list[int] = []

    def policy_of(rollout_id: int) -> Policy:
        asked.append(rollout_id)
        return Policy()

    loaded = JournalFold.load(fold.save(), policy_of)
    read = len(worker.writer.records)
    worker.adopt(rollout_id=2, champion=1, challenger=3, phase=Phase.SHADOW)
    loaded.consume(b"".join(worker.writer.records[read:]))
    assert asked == [2]
    rollouts = loaded.models[0].rollouts
    assert (rollouts[1].policy, rollouts[2].policy) == (POLICY, Policy())


@given(at=st.integers(0, 1 << 30), bit=st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_damaged_state_is_refused_and_never_guessed_at(at: int, bit: int) -> None:
    saved = bytearray(saved_fold())
    saved[at % len(saved)] ^= 1 << bit
    with pytest.raises(StateError, match="kept state: "):
        JournalFold.load(bytes(saved), POLICY)


@given(kept=st.floats(0, 1, exclude_max=True))
@settings(max_examples=30, deadline=None)
def test_state_cut_short_is_refused(kept: float) -> None:
    saved = saved_fold()
    with pytest.raises(StateError, match="kept state: "):
        JournalFold.load(saved[: int(kept * len(saved))], POLICY)


def test_state_of_other_code_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = saved_fold()
    monkeypatch.setattr("serving.rollout.sealing.code_digest", lambda: bytes(32))
    with pytest.raises(StateError, match="another version of the code"):
        JournalFold.load(saved, POLICY)


@cache
def saved_fold() -> bytes:
    fold = JournalFold(POLICY)
    fold.consume(journal("equal", 0))
    return fold.save()


def test_what_is_shared_stays_shared_and_floats_keep_their_bits() -> None:
    tally = ArmTally(7, "champion")
    shared = [float("nan"), -0.0, 5e-324, 1.7976931348623157e308]
    tally.curve = shared  # type: ignore[assignment]
    held = {"a": tally, "b": shared, (1, 2): deque([tally, None], maxlen=3), "c": {3, 1}, "d": np.arange(3.0)}
    again = unpack(pack(held))
    assert again["a"].curve is again["b"]
    assert again[1, 2][0] is again["a"]
    assert (again[1, 2].maxlen, again["c"], again["d"].tolist()) == (3, {1, 3}, [0.0, 1.0, 2.0])
    assert np.array(again["b"]).tobytes() == np.array(shared).tobytes()


@pytest.mark.parametrize("stranger", [len, object(), {"inner": [open]}, Phase.AB])
def test_what_cannot_be_kept_is_an_error_that_says_where(stranger: object) -> None:
    with pytest.raises(StateError, match="dict"):
        pack({"here": stranger})


def test_no_class_of_another_package_is_ever_made() -> None:
    with pytest.raises(StateError, match="unknown class subprocess:Popen"):
        unpack(msgspec.msgpack.encode([["subprocess:Popen"], [6, 0, ["true"]]]))
