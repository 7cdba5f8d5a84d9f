"""The document that explains an end: kept beside the version, so that nobody has to ask why."""

from typing import Any

import msgspec

from data_contracts.policy import Policy
from serving.rollout.effects import Ended
from serving.rollout.rollout_fold import RolloutFold
from serving.rollout.tally import ArmTally


def evidence_document(
    ended: Ended, model: str, policy: Policy, judged: RolloutFold | None, journal_records: int
) -> str:
    """Return the evidence behind the end of a rollout, as JSON.

    Args:
        ended: how it ended.
        model: registered model.
        policy: by which it was judged.
        judged: its fold; None where no decision of it was folded.
        journal_records: how far the journal had been read.
    """
    document: dict[str, Any] = {
        "model": model,
        "ended": msgspec.to_builtins(ended),
        "policy": msgspec.to_builtins(policy),
        "journal_records": journal_records,
    }
    if judged is not None:
        document |= {
            "decisions": {
                "folded": judged.folded,
                "in_last_step": judged.folded_in_step,
                "given_up": judged.given_up,
                "unpaired": judged.unpaired,
            },
            "overlap_decisions": judged.guards.overlap,
            "guardrails": [msgspec.to_builtins(reading) for reading in judged.guards.readings()],
            "promotion_e_value": judged.guards.promotion.e_value if judged.guards.promotion else None,
            "arms": [_arm(tally) for tally in judged.arms.values()],
        }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


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
    }
