from hypothesis import given
from hypothesis import strategies as st

from registry.changes import AliasChange, alias_changes

maps = st.dictionaries(st.sampled_from(["champion", "challenger", "shadow", "shadow-b"]), st.integers(1, 5))


def test_set_moved_and_deleted_aliases_are_told_apart() -> None:
    assert alias_changes("m", {"champion": 1, "shadow": 3, "same": 2}, {"champion": 2, "challenger": 3, "same": 2}) == [
        AliasChange(model="m", alias="challenger", before=None, after=3),
        AliasChange(model="m", alias="champion", before=1, after=2),
        AliasChange(model="m", alias="shadow", before=3, after=None),
    ]


@given(maps)
def test_nothing_changed_gives_no_change(aliases: dict[str, int]) -> None:
    assert alias_changes("m", aliases, dict(aliases)) == []


@given(maps, maps)
def test_changes_applied_to_the_first_map_give_the_second(before: dict[str, int], after: dict[str, int]) -> None:
    got = dict(before)
    for change in alias_changes("m", before, after):
        assert got.pop(change.alias, None) == change.before
        if change.after is not None:
            got[change.alias] = change.after
    assert got == after


@given(maps, maps)
def test_looking_backwards_swaps_before_and_after(before: dict[str, int], after: dict[str, int]) -> None:
    there = [(change.alias, change.before, change.after) for change in alias_changes("m", before, after)]
    back = [(change.alias, change.after, change.before) for change in alias_changes("m", after, before)]
    assert there == back
