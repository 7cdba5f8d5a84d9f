"""The document that explains an end: kept beside the version, so that nobody has to ask why."""

from typing import Any, Final

import msgspec
import structlog

from data_contracts.policy import Policy
from serving.controller.book import Arrival
from serving.controller.evidence_page import evidence_page
from serving.rollout.effects import Ended
from serving.rollout.reaction import Reaction
from serving.rollout.rollout_fold import RolloutFold
from serving.rollout.series import NAMES, Point
from serving.rollout.tally import ArmTally

log = structlog.get_logger()

_FAR: Final = 1000.0


def evidence_document(
    ended: Ended,
    model: str,
    policy: Policy,
    judged: RolloutFold | None,
    journal_records: int,
    arrival: Arrival | None = None,
) -> dict[str, Any]:
    """Return the evidence behind the end of a rollout, JSON-able.

    Args:
        ended: how it ended.
        model: registered model.
        policy: by which it was judged.
        judged: its fold; None where no decision of it was folded.
        journal_records: how far the journal had been read.
        arrival: how its version came to be judged; None: not known, or it was there already.
    """
    document: dict[str, Any] = {
        "model": model,
        "ended": msgspec.to_builtins(ended),
        "policy": msgspec.to_builtins(policy),
        "journal_records": journal_records,
    }
    if judged is not None:
        document |= {
            "arrival": _arrival(arrival, judged.since_ns or None),
            "rollback": _rollback(judged.reaction),
            "decisions": {
                "folded": judged.folded,
                "in_last_step": judged.folded_in_step,
                "given_up": judged.given_up,
                "unrealised": judged.unrealised,
                "unpaired": judged.unpaired,
            },
            "overlap_decisions": judged.guards.overlap,
            "guardrails": [msgspec.to_builtins(reading) for reading in judged.guards.readings()],
            "promotion_e_value": judged.guards.promotion.e_value if judged.guards.promotion else None,
            "watches": [msgspec.to_builtins(alarm) for alarm in judged.watching.readings()],
            "divergence": [msgspec.to_builtins(one) for one in judged.divergences.readings() if one.instrument is None],
            "arms": [_arm(tally) for tally in judged.arms.values()],
            "series": [_point(point) for point in judged.series.points],
        }
    # What is not a number, or beyond all bounds, is null from here on: JSON has no word for it.
    return msgspec.json.decode(msgspec.json.encode(document), type=dict[str, Any])


def _arrival(arrival: Arrival | None, in_shadow_ns: int | None) -> dict[str, Any] | None:
    if arrival is None:
        return None
    seen = arrival.alias_seen_ns
    took_ms = (in_shadow_ns - seen) / 1e6 if seen is not None and in_shadow_ns is not None else None
    return {**msgspec.to_builtins(arrival), "in_shadow_ns": in_shadow_ns, "seen_to_shadow_ms": took_ms}


def _rollback(reaction: Reaction | None) -> dict[str, Any] | None:
    if reaction is None:
        return None
    return {"decisions_after": reaction.decisions, "routed_without_us": reaction.took_us}


def _point(point: Point) -> dict[str, Any]:
    # Not a number counts as tripped, and without bounds is far beyond: a drawing must show both.
    evidence = [max(-_FAR, min(_FAR, value)) if value == value else _FAR for value in point.evidence]
    return {**point._asdict(), "evidence": dict(zip(NAMES, evidence, strict=True))}


def evidence_files(document: dict[str, Any]) -> dict[str, str]:
    """Return the files that are kept beside the version, by name: the figures, and last the page for a person."""
    name = f"rollout-{document['ended']['rollout_id']}"
    files = {f"{name}.json": msgspec.json.format(msgspec.json.encode(document), indent=2).decode()}
    try:
        files[f"{name}.html"] = evidence_page(document)
    except Exception:  # a drawing that fails must not hold up a rollback; the figures are kept all the same
        log.exception("evidence_not_drawn", rollout_id=document["ended"]["rollout_id"])
    return files


def _arm(tally: ArmTally) -> dict[str, Any]:
    return {
        "version": tally.version,
        "arm": tally.arm,
        "decisions": tally.decisions,
        "trades": tally.trades,
        "pnl_bps": tally.pnl_bps,
        "paper_pnl_bps": tally.paper_pnl_bps,
        "late": tally.late,
        "failed": tally.failed,
        "latency_p50_us": tally.latency_us(0.5),
        "latency_p99_us": tally.latency_us(0.99),
        "latency_steps": tally.latency_steps(),
    }
