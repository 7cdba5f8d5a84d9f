"""What a desk asks to be done outside: values, so that deciding needs neither registry nor clock."""

from msgspec import Struct

from serving.rollout.events import Kind


class SetTags(Struct, frozen=True, kw_only=True, tag=True):
    """Answer in the registry's UI, on a version."""

    version: int
    status: str
    """ringcraft.status; empty: left as it is."""
    reason: str


class MoveAlias(Struct, frozen=True, kw_only=True, tag=True):
    """Point an alias at a version, if it still points where it did when this was decided."""

    alias: str
    version: int
    expected: int | None
    why: str
    who: str | None = None


class DeleteAlias(Struct, frozen=True, kw_only=True, tag=True):
    """Take an alias away, if it still points at the version."""

    alias: str
    version: int
    why: str
    who: str | None = None


class Ended(Struct, frozen=True, kw_only=True, tag=True):
    """A rollout, or what would have been one, has ended."""

    rollout_id: int
    """0: it never came to be routed."""
    kind: Kind | str
    version: int
    control: int | None
    verdict: str
    guardrail: str
    decision: int | None
    reason: str
    steps_done: int = 0


class Noted(Struct, frozen=True, kw_only=True, tag=True):
    """Something a person should see."""

    kind: str
    version: int | None
    text: str
    decision: int | None = None


Effect = SetTags | MoveAlias | DeleteAlias | Ended | Noted
