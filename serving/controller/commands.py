"""What a person may ask of the tier, carried out between two turns of the loop."""

from collections.abc import Callable

from data_contracts.errors import ModelNotFoundError
from serving.console.commands import CommandResult
from serving.controller.controller import Controller
from serving.rollout.desk import Desk
from serving.rollout.desk_state import CHAMPION
from serving.rollout.effects import MoveAlias


class ControllerCommands:
    """Promote, roll back, pause and resume; a dry run says what would be done and does nothing."""

    def __init__(self, controller: Controller) -> None:
        """Take the controller whose desks are commanded."""
        self._controller = controller

    def promote(self, model: str, *, dry_run: bool, why: str, who: str) -> CommandResult:
        """Make the challenger champion now; refused where there is none that is live."""
        with self._controller.lock:
            desk = self._desk(model)
            rollout = desk.state.rollout
            if rollout is None or rollout.kind != "challenger":
                return _no(f"{model}: no challenger to promote")
            if not rollout.live:
                return _no(f"{model}: version {rollout.version} is still being checked")
            text = f"{model}: version {rollout.version} becomes champion in place of version {desk.state.champion}"
            return self._do(lambda: desk.promote(why, who or None), text, dry_run=dry_run)

    def rollback(self, model: str, *, dry_run: bool, why: str, who: str) -> CommandResult:
        """Take the challenger off, or give a champion's place back to the one before it."""
        with self._controller.lock:
            desk = self._desk(model)
            rollout = desk.state.rollout
            if rollout is not None and rollout.live:
                back = f"; version {rollout.control} is champion again" if rollout.kind == "bake" else ""
                text = f"{model}: version {rollout.version} is taken off{back}"
                return self._do(lambda: desk.rollback(why, who or None), text, dry_run=dry_run)
            return self._former(desk, dry_run=dry_run, why=why, who=who)

    def pause(self, model: str, *, dry_run: bool, why: str, who: str) -> CommandResult:
        """Return every share to the champion until resumed; evidence is kept."""
        with self._controller.lock:
            desk = self._desk(model)
            rollout = desk.state.rollout
            if rollout is None or rollout.paused:
                return _no(f"{model}: no rollout that runs")
            text = f"{model}: the rollout of version {rollout.version} is paused"
            by = f" ({who})" if who else ""
            return self._do(lambda: desk.pause(f"{why}{by}"), text, dry_run=dry_run)

    def resume(self, model: str, *, dry_run: bool, why: str, who: str) -> CommandResult:  # noqa: ARG002  port's names
        """Go on with a paused rollout where it stood."""
        with self._controller.lock:
            desk = self._desk(model)
            rollout = desk.state.rollout
            if rollout is None or not rollout.paused:
                return _no(f"{model}: no rollout that is paused")
            text = f"{model}: the rollout of version {rollout.version} goes on"
            return self._do(desk.resume, text, dry_run=dry_run)

    def _former(self, desk: Desk, *, dry_run: bool, why: str, who: str) -> CommandResult:
        model, champion = desk.state.model, desk.state.champion
        former = None if champion is None else self._controller.history.last_champion_before(model, champion)
        if champion is None or former is None:
            return _no(f"{model}: no rollout, and no former champion is known")
        move = MoveAlias(alias=CHAMPION, version=former, expected=champion, why=why, who=who or None)
        text = f"{model}: version {former} becomes champion again in place of version {champion}"
        return self._do(lambda: desk.effects.append(move), text, dry_run=dry_run)

    def _desk(self, model: str) -> Desk:
        try:
            return self._controller.desks[model]
        except KeyError:
            raise ModelNotFoundError(model) from None

    def _do(self, action: Callable[[], None], text: str, *, dry_run: bool) -> CommandResult:
        if not self._controller.caught_up:
            return _no("the journal is still being read after the start: ask again in a moment")
        if dry_run:
            return CommandResult(done=True, text=f"would do: {text}")
        action()
        self._controller.settle()
        self._controller.refresh()
        return CommandResult(done=True, text=text)


def _no(text: str) -> CommandResult:
    return CommandResult(done=False, text=text)
