"""What a person may ask of the tier, whatever asks for them: the console page, its API, the command line."""

from typing import Annotated, Protocol

from msgspec import Meta, Struct


class CommandResult(Struct, frozen=True, kw_only=True):
    """What came of a command."""

    done: bool
    """It was carried out; of a dry run: it would be. False: refused, and `text` says why."""
    text: str


class CommandRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of a command over HTTP."""

    why: Annotated[str, Meta(min_length=1, max_length=500)]
    """Kept in the history beside the move."""
    who: Annotated[str, Meta(max_length=100)] = ""
    dry_run: bool = False
    """Say what would happen and change nothing."""


class Commands(Protocol):
    """Moves that a person makes by hand; each may take as long as the registry does, and runs outside the event loop.

    Raises:
        ModelNotFoundError: the model is not followed.
    """

    def promote(self, model: str, *, dry_run: bool, why: str, who: str) -> CommandResult:
        """Make the challenger champion now; refused where there is none that is ready."""
        ...

    def rollback(self, model: str, *, dry_run: bool, why: str, who: str) -> CommandResult:
        """Take the challenger off, or give a baking champion's place back to the one before it."""
        ...

    def pause(self, model: str, *, dry_run: bool, why: str, who: str) -> CommandResult:
        """Return every share to the champion until resumed; evidence is kept."""
        ...

    def resume(self, model: str, *, dry_run: bool, why: str, who: str) -> CommandResult:
        """Go on with a paused rollout where it stood."""
        ...
