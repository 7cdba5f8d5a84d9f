"""What the demonstration says of its result."""

from data_contracts.manifest import Estimate
from pipelines.request import TrainedVersion
from ringcraft.demo.words import conclusion, event_row, market
from serving.console.snapshot import EventSnapshot


def version(family: str, *, trades: float, low: float) -> TrainedVersion:
    metrics = {"trades": Estimate(value=trades), "net_pnl_bps": Estimate(value=low + 0.1, low=low, high=low + 0.2)}
    fields = dict.fromkeys(TrainedVersion.__struct_fields__)
    return TrainedVersion(**{**fields, "family": family, "metrics": metrics})


def rollout(kind: str, verdict: str) -> dict[str, object]:
    return {"kind": kind, "version": 3, "verdict": verdict, "decision": 1_234, "guardrail": "limit:late_or_failed"}


def test_market_in_which_nobody_trades_is_called_weak():
    assert "no threshold paid its costs" in market([version("mlp", trades=0, low=0.0)])


def test_pnl_that_may_be_zero_is_called_weak():
    assert "weak" in market([version("mlp", trades=9, low=-0.1)])


def test_pnl_surely_above_zero_names_who_earned_it():
    said = market([version("mlp", trades=9, low=0.1), version("xgboost", trades=9, low=-0.1)])
    assert said.startswith("After spread and fees mlp earned")


def test_every_rollout_is_explained_with_its_decision():
    honest, slow = conclusion({"rollouts": [rollout("honest", "inconclusive"), rollout("slow", "rolled_back")]})
    assert "the champion stays" in honest
    assert slow.endswith("came off by itself at decision 1,234, on late or failed.")


def test_happening_has_event_time_decision_guardrail_and_reason():
    event = EventSnapshot(
        wall_ns=1, event_ns=10**18, kind="rolled_back", model="m", version=3, decision=1_234, text="lost [x]"
    )
    when, decision, what = event_row(event, "pnl")
    assert (when, decision) == ("2001-09-09 01:46:40", "1,234")
    assert what.endswith(r"on pnl: lost \[x]")
