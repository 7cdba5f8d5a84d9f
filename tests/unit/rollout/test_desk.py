"""The desk of one model: its edge cases by name."""

import msgspec
from support.desks import concluded, desk, ended, serving, tags

from data_contracts.policy import Policy, Step
from data_contracts.policy import Rollout as PolicyRollout
from serving.rollout.desk import Desk
from serving.rollout.desk_state import copy_of
from serving.rollout.effects import DeleteAlias, Ended, MoveAlias, SetTags
from serving.rollout.events import Paused


def test_challenger_without_champion_waits_in_checking() -> None:
    made = desk()
    made.aliases({"challenger": 2})
    made.passed(2)
    assert made.state.rollout.stage == "checking"
    made.aliases({"champion": 1, "challenger": 2})
    made.passed(1)
    assert (made.state.rollout.stage, made.state.rollout.control) == ("shadow", 1)


def test_same_version_under_both_aliases_is_refused_with_its_reason() -> None:
    made = serving(1)
    made.aliases({"champion": 1, "challenger": 1})
    assert ended(made) == [("challenger", 1, "refused")]
    assert "champion already" in made.state.last.reason
    assert tags(made) == {}


def test_champion_moved_during_a_rollout_ends_it_and_begins_another() -> None:
    made = serving(1, 2)
    before = made.state.rollout.rollout_id
    made.aliases({"champion": 3, "challenger": 2})
    made.passed(3)
    assert ("challenger", 2, "withdrawn") in ended(made)
    assert (made.state.champion, made.state.rollout.version, made.state.rollout.control) == (3, 2, 3)
    assert made.state.rollout.rollout_id != before


def test_challenger_replaced_midway_is_withdrawn_for_the_other() -> None:
    made = serving(1, 2)
    made.aliases({"champion": 1, "challenger": 3})
    assert ended(made) == [("challenger", 2, "withdrawn")]
    assert (made.state.rollout.version, made.state.rollout.stage) == (3, "checking")


def test_challenger_alias_deleted_withdraws() -> None:
    made = serving(1, 2)
    made.aliases({"champion": 1})
    assert ended(made) == [("challenger", 2, "withdrawn")]
    assert made.state.rollout is None


def test_champion_alias_moved_to_the_challenger_promotes_it_by_hand() -> None:
    made = serving(1, 2)
    made.aliases({"champion": 2, "challenger": 2})
    assert ended(made) == [("challenger", 2, "promoted")]
    assert (made.state.rollout.kind, made.state.rollout.control) == ("bake", 1)


def test_champion_moved_by_a_person_bakes_against_the_old_one_where_nobody_challenges() -> None:
    made = serving(1)
    made.aliases({"champion": 2})
    made.passed(2)
    assert (made.state.champion, made.state.rollout.kind, made.state.rollout.control) == (2, "bake", 1)
    assert tags(made) == {2: "champion", 1: "retired"}


def test_champion_deleted_leaves_nothing_to_act_on() -> None:
    made = serving(1, 2)
    made.aliases({"challenger": 2})
    assert ended(made) == [("challenger", 2, "withdrawn")]
    assert made.state.champion is None
    assert made.state.rollout.stage == "checking"  # waits for a champion to be compared with


def test_shadow_alias_changes_what_is_held_ready_and_nothing_else() -> None:
    made = serving(1, 2)
    before = copy_of(made.state)
    for shadows in ({"shadow": 3}, {"shadow": 4, "shadow-late": 3}, {}):
        made.aliases({"champion": 1, "challenger": 2, **shadows})
        assert set(made.versions()) == {1, 2, *shadows.values()}
    assert made.state == before
    assert made.effects == []


def test_rolled_back_version_loses_its_place_before_anything_is_written() -> None:
    made = serving(1, 2)
    made.folded(concluded(made))
    assert made.state.rollout is None
    assert DeleteAlias(alias="challenger", version=2, why="because") in made.effects
    assert tags(made)[2] == "rolled_back"
    assert 2 not in made.versions()


def test_promoted_version_bakes_with_the_old_champion_as_control() -> None:
    made = serving(1, 2)
    made.folded(concluded(made, "promoted", ""))
    assert (made.state.champion, made.state.rollout.kind, made.state.rollout.control) == (2, "bake", 1)
    assert MoveAlias(alias="champion", version=2, expected=1, why="because") in made.effects
    assert tags(made) == {2: "champion", 1: "retired"}


def test_new_champion_that_fails_its_bake_gives_the_place_back() -> None:
    made = serving(1, 2)
    made.folded(concluded(made, "promoted", ""))
    made.effects.clear()
    made.folded(concluded(made))
    assert made.state.champion == 1
    assert MoveAlias(alias="champion", version=1, expected=2, why="because") in made.effects
    assert tags(made) == {2: "rolled_back", 1: "champion"}


def test_challenger_that_comes_while_a_champion_bakes_waits() -> None:
    made = serving(1, 2)
    made.folded(concluded(made, "promoted", ""))
    made.aliases({"champion": 2, "challenger": 3})
    made.passed(3)
    assert made.state.rollout.kind == "bake"
    made.folded(concluded(made, "promoted", ""))
    assert (made.state.rollout.kind, made.state.rollout.version, made.state.rollout.control) == ("challenger", 3, 2)


def test_refused_version_is_not_tried_again_until_its_alias_moves_or_its_tag_is_cleared() -> None:
    made = serving(1)
    made.aliases({"champion": 1, "challenger": 2})
    made.refused(2, "feature set differs")
    assert ended(made) == [("challenger", 2, "refused")]
    made.aliases({"champion": 1, "challenger": 2})
    assert made.state.rollout is None
    assert made.retryable() == [2]
    made.retry(2)
    assert made.state.rollout.stage == "checking"


def test_refused_champion_leaves_the_old_one_serving() -> None:
    made = serving(1)
    made.aliases({"champion": 2})
    made.refused(2, "digest differs")
    assert made.state.champion == 1
    assert tags(made) == {2: "refused"}


def test_event_of_an_earlier_rollout_changes_nothing() -> None:
    made = serving(1, 2)
    old = concluded(made)
    made.folded(old)
    made.aliases({"champion": 1, "challenger": 3})
    made.passed(3)
    made.effects.clear()
    made.folded(old)
    assert made.state.rollout.version == 3
    assert made.effects == []


def test_verdict_found_in_the_journal_after_the_alias_was_moved_has_the_last_word() -> None:
    """Decisions taken before routing followed the alias are evidence too, and the offline judge reads them."""
    made = serving(1, 2)
    found = concluded(made)
    made.aliases({"champion": 1, "challenger": 3})
    made.passed(3)
    made.effects.clear()
    made.folded(found)
    (amended,) = [effect for effect in made.effects if isinstance(effect, Ended)]
    assert (amended.rollout_id, amended.verdict, amended.decision) == (found.rollout_id, "rolled_back", 77)
    assert tags(made) == {2: "rolled_back"}
    assert made.state.rollout.version == 3


def test_limit_found_broken_after_a_promotion_by_hand_is_said_and_leaves_the_champion() -> None:
    made = serving(1, 2)
    found = concluded(made, guardrail="limit:loss_budget")
    made.promote("I know better", "me")
    made.effects.clear()
    made.folded(found)
    assert made.state.champion == 2
    assert ended(made) == [("challenger", 2, "rolled_back")]
    (said,) = [effect for effect in made.effects if isinstance(effect, SetTags)]
    assert (said.status, "broke limit:loss_budget" in said.reason) == ("", True)


def test_promotion_that_came_too_late_leaves_the_withdrawal_standing() -> None:
    made = serving(1, 2)
    found = concluded(made, "promoted", "")
    made.aliases({"champion": 1})
    made.effects.clear()
    made.folded(found)
    assert (made.state.champion, made.effects) == (1, [])


def test_promotion_earned_just_as_it_is_paused_waits_for_the_resume() -> None:
    made = serving(1, 2)
    made.pause("lunch")
    made.folded(concluded(made, "promoted", ""))
    assert (made.state.champion, ended(made)) == (1, [])
    made = desk(copy_of(made.state), first_id=50)
    made.aliases({"champion": 1, "challenger": 2})
    made.resume()
    assert made.state.champion == 2
    assert made.state.last.decision == 77


def pause(made: Desk, cause: str, decision: int) -> None:
    rollout_id = made.state.rollout.rollout_id
    about = {"model": "m", "rollout_id": rollout_id, "version": 2, "reason": f"because of {cause}"}
    made.folded(Paused(cause=cause, decision=decision, **about))


def test_silence_found_among_older_decisions_pauses_though_lost_records_paused_later_ones() -> None:
    """Lost records are told at the newest decision, silence at the one that is folded, a horizon behind."""
    made = serving(1, 2)
    pause(made, "journal_drops", 1000)
    made.resume()
    pause(made, "silence", 950)
    assert made.state.rollout.paused == "because of silence"


def test_pause_that_a_restarted_controller_reads_again_is_not_asked_for_twice() -> None:
    made = serving(1, 2)
    pause(made, "silence", 950)
    made.resume()
    made = desk(copy_of(made.state), first_id=50)
    pause(made, "silence", 950)
    assert not made.state.rollout.paused
    pause(made, "silence", 951)
    assert made.state.rollout.paused


def test_rollout_that_its_journal_calls_withdrawn_begins_anew() -> None:
    """Routing had ended it, then a crash came before the book; its evidence is closed for good."""
    made = serving(1, 2)
    before = made.state.rollout.rollout_id
    made.folded(msgspec.structs.replace(concluded(made, "withdrawn", ""), decision=None))
    assert ended(made) == [("challenger", 2, "withdrawn")]
    assert made.state.rollout.rollout_id != before
    assert made.state.outside == []


def test_live_challenger_that_can_no_longer_be_served_ends_under_its_own_id() -> None:
    made = serving(1, 2)
    made.refused(2, "files touched")
    assert ended(made) == [("challenger", 2, "withdrawn")]
    assert tags(made)[2] == "refused"
    assert made.retryable() == [2]


def test_control_that_can_no_longer_be_served_ends_the_bake() -> None:
    made = serving(1, 2)
    made.folded(concluded(made, "promoted", ""))
    made.effects.clear()
    made.refused(1, "files touched")
    assert ended(made) == [("bake", 2, "withdrawn")]
    assert (made.state.champion, made.state.rollout) == (2, None)


def test_version_that_was_unloaded_is_checked_again_before_it_serves() -> None:
    made = serving(1, 2)
    made.aliases({"champion": 1})
    made.aliases({"champion": 2})
    assert made.state.champion == 1
    made.passed(2)
    assert made.state.champion == 2


def test_refused_shadow_is_tried_again_while_its_alias_stays() -> None:
    made = serving(1)
    made.aliases({"champion": 1, "shadow": 5})
    made.refused(5, "tampered")
    assert made.retryable() == [5]
    made.retry(5)
    assert made.versions() == [1, 5]


def test_former_champion_that_is_challenger_too_begins_once_another_is_champion() -> None:
    made = serving(1)
    made.aliases({"champion": 1, "challenger": 1})
    made.aliases({"champion": 2, "challenger": 1})
    made.passed(2)
    made.passed(1)
    assert (made.state.champion, made.state.rollout.version, made.state.rollout.control) == (2, 1, 2)


def test_version_that_keeps_failing_is_told_of_once() -> None:
    made = serving(1)
    made.aliases({"champion": 1, "challenger": 2})
    for _ in range(3):
        made.refused(2, "cannot be loaded")
        made.retry(2)
    assert ended(made) == [("challenger", 2, "refused")]


def test_status_of_a_small_share_says_how_small() -> None:
    steps = (Step(share=0.0, min_decisions=1), Step(share=0.005, min_decisions=1))
    made = serving(1, 2)
    made.state.rollout.policy = Policy(rollout=PolicyRollout(steps=steps))
    made.state.rollout.step, made.state.rollout.stage = 1, "ab"
    assert made.status == "ab:0.5%"


def test_end_of_a_rollout_heard_of_before_the_aliases_leaves_the_champion_serving() -> None:
    """A controller restarted while the registry is away reads the verdict out of the journal first."""
    made = serving(1, 2)
    again = desk(copy_of(made.state), first_id=50)
    again.folded(concluded(made))
    assert (again.state.champion, again.state.rollout) == (1, None)
    assert ended(again) == [("challenger", 2, "rolled_back")]
