"""What happened between two looks at a model's aliases."""

from collections.abc import Mapping

from msgspec import Struct


class AliasChange(Struct, frozen=True, kw_only=True):
    """One alias that points elsewhere than before."""

    model: str
    alias: str
    before: int | None
    """Version it held; None: it was not set."""
    after: int | None
    """Version it holds; None: it was deleted."""


def alias_changes(model: str, before: Mapping[str, int], after: Mapping[str, int]) -> list[AliasChange]:
    """Return what differs between two alias maps of one model, by alias name.

    Moves there and back between the two looks cannot be seen.
    """
    return [
        AliasChange(model=model, alias=alias, before=before.get(alias), after=after.get(alias))
        for alias in sorted(before.keys() | after.keys())
        if before.get(alias) != after.get(alias)
    ]
