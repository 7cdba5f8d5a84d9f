"""One model's desk with nothing around it."""

import itertools

from data_contracts.policy import Policy
from serving.rollout.desk import Desk
from serving.rollout.desk_state import DeskState
from serving.rollout.effects import Ended, SetTags
from serving.rollout.events import Concluded

POLICY = Policy()


def desk(state: DeskState | None = None, first_id: int = 1) -> Desk:
    return Desk(state or DeskState(model="m", index=0), POLICY, itertools.count(first_id).__next__)


def serving(champion: int = 1, challenger: int | None = None) -> Desk:
    made = desk()
    made.aliases({"champion": champion})
    made.passed(champion)
    if challenger is not None:
        made.aliases({"champion": champion, "challenger": challenger})
        made.passed(challenger)
    made.effects.clear()
    return made


def concluded(made: Desk, verdict: str = "rolled_back", guardrail: str = "pnl") -> Concluded:
    rollout = made.state.rollout
    return Concluded(
        model="m",
        rollout_id=rollout.rollout_id,
        version=rollout.version,
        kind=rollout.kind,
        verdict=verdict,
        guardrail=guardrail,
        decision=77,
        reason="because",
    )


def ended(made: Desk) -> list[tuple[str, int, str]]:
    return [(e.kind, e.version, e.verdict) for e in made.effects if isinstance(e, Ended)]


def tags(made: Desk) -> dict[int, str]:
    return {e.version: e.status for e in made.effects if isinstance(e, SetTags) and e.status}
