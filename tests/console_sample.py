"""A tier at work, made by hand: what the console's tests show."""

import math
import random

from serving.console.snapshot import (
    ArmSnapshot,
    DivergenceSnapshot,
    EventSnapshot,
    GuardSnapshot,
    ModelSnapshot,
    PnlPoint,
    RolloutSnapshot,
    Snapshot,
    WorkerSnapshot,
)
from serving.watch.alarm import Alarm

SECOND_NS = 1_000_000_000
OPEN_NS = 1_609_752_600 * SECOND_NS  # 2021-01-04 09:30 UTC
WALL_NS = 1_700_000_000 * SECOND_NS
MARKUP = "<img src=x onerror=\"document.title='broken in'\">"


def arm(name: str, version: int, **changes: object) -> ArmSnapshot:
    fields: dict[str, object] = {
        "arm": name,
        "version": version,
        "family": "xgboost",
        "status": name,
        "share": 0.0,
        "served_share": None,
        "decisions": 0,
        "trades": 0,
        "pnl_bps": 0.0,
        "paper_pnl_bps": 0.0,
        "latency_p50_us": 4.71,
        "latency_p99_us": 11.3,
        "late": 0,
        "failed": 0,
        "tier": "onnxruntime",
    }
    return ArmSnapshot(**{**fields, **changes})  # type: ignore[arg-type]


def watch(name: str, value: float | None, limit: float, text: str, **changes: object) -> Alarm:
    fields: dict[str, object] = {
        "name": name,
        "action": "alarm",
        "raised": False,
        "since_decision": None,
        "value": value,
        "limit": limit,
        "text": text,
    }
    return Alarm(**{**fields, **changes})  # type: ignore[arg-type]


DRIFTED = watch(
    "drift",
    0.41,
    0.25,
    "outputs of the last 500 answers against the rollout's first 1,000: stability index 0.41, limit 0.25",
    raised=True,
    since_decision=15_820,
)


def watches() -> tuple[Alarm, ...]:
    return (
        watch("share", 0.1015, 0.1, "took 10.2% of 1,640 decisions, routed 10.0%"),
        watch(
            "latency",
            0.03,
            0.05,
            "3.0% of its newest answers took over 22.6 µs, 2 times the champion's p95 at first; 5.0% of the champion's",
        ),
        watch("abstentions", 0.0, 0.01, "abstained alone on 3 decisions, the other alone on 2; of late +0.0%"),
        DRIFTED,
        watch("calibration", None, 0.2, "no mark-out of an answer yet"),
    )


def divergence(version: int, instrument: str, apart: float, **changes: object) -> DivergenceSnapshot:
    fields: dict[str, object] = {
        "version": version,
        "against": 5,
        "instrument": instrument,
        "count": 1612,
        "dropped": 28,
        "unit": "bps",
        "mean_difference": apart,
        "max_difference": 9.3 * apart,
        "disagreement": 0.184,
        "rank_correlation": 0.71,
    }
    return DivergenceSnapshot(**{**fields, **changes})  # type: ignore[arg-type]


def rollout(**changes: object) -> RolloutSnapshot:
    fields: dict[str, object] = {
        "rollout_id": 4,
        "kind": "challenger",
        "version": 7,
        "state": "ab",
        "step": 1,
        "steps": 3,
        "share": 0.1,
        "step_shares": (0.0, 0.1, 0.5),
        "folded": 1640,
        "folded_in_step": 640,
        "needed_in_step": 1000,
        "paused": False,
        "verdict": "",
        "guardrail": "",
        "decision": None,
        "reason": "",
        "guards": (
            GuardSnapshot(
                name="pnl",
                evidence=0.78,
                events=212,
                detail="paired difference -0.31 bps a decision, margin 0.01 sd, 1,640 pairs",
            ),
            GuardSnapshot(name="latency", evidence=0.12, events=9, detail="9 of 1,640 answers over 500 µs, budget 1 %"),
            GuardSnapshot(name="errors", evidence=-0.04, events=0, detail="0 of 1,640 answers failed, budget 0.1 %"),
        ),
        "promotion_evidence": 0.21,
        "watches": watches(),
    }
    return RolloutSnapshot(**{**fields, **changes})  # type: ignore[arg-type]


def walk(version: int, name: str, start_s: int, points: int, drift: float, seed: int) -> list[PnlPoint]:
    rng, total, made = random.Random(seed), 0.0, []
    for index in range(points):
        total += rng.gauss(drift, 1.1)
        event_ns = OPEN_NS + (start_s + index * 30) * SECOND_NS
        made.append(PnlPoint(event_ns=event_ns, version=version, arm=name, pnl_bps=round(total, 3)))
    return made


def event(kind: str, text: str, minute: int, **changes: object) -> EventSnapshot:
    fields: dict[str, object] = {
        "wall_ns": WALL_NS + minute * 3 * SECOND_NS,
        "event_ns": OPEN_NS + minute * 60 * SECOND_NS,
        "kind": kind,
        "model": "if-tilt",
        "version": 7,
        "decision": None,
        "text": text,
    }
    return EventSnapshot(**{**fields, **changes})  # type: ignore[arg-type]


def model(name: str = "if-tilt", **changes: object) -> ModelSnapshot:
    fields: dict[str, object] = {
        "model": name,
        "instruments": ("CFFEX:IF2101",),
        "epoch": 12,
        "feature_set": "touch_v1",
        "arms": (
            arm(
                "champion",
                5,
                share=0.9,
                served_share=0.899,
                decisions=14_903,
                trades=3_120,
                pnl_bps=50.85,
                paper_pnl_bps=58.02,
            ),
            arm(
                "challenger",
                7,
                family="mlp",
                status="ab:10%",
                share=0.1,
                served_share=0.1015,
                decisions=167,
                trades=61,
                pnl_bps=-22.718,
                paper_pnl_bps=-148.9,
                latency_p50_us=21.4,
                latency_p99_us=184.0,
                late=9,
            ),
            arm("shadow", 6, family="logistic", paper_pnl_bps=3.4, latency_p50_us=2.4, latency_p99_us=2.9),
        ),
        "rollout": rollout(),
        "divergence": (
            divergence(7, "", 0.214),
            divergence(7, "CFFEX:IF2106", 0.231, count=1204, dropped=20),
            divergence(7, "CFFEX:IH2106", 0.0004, count=408, dropped=8, rank_correlation=-0.05),
            divergence(6, "", 0.52, unit="", mean_difference=None, max_difference=None, disagreement=0.31),
            divergence(6, "CFFEX:IF2106", 0.52, unit="", mean_difference=None, max_difference=None),
        ),
        "pnl": tuple(walk(5, "champion", 0, 180, 0.45, 3) + walk(7, "challenger", 1800, 120, -0.42, 8)),
    }
    return ModelSnapshot(**{**fields, **changes})  # type: ignore[arg-type]


def rolled_back() -> RolloutSnapshot:
    return rollout(
        rollout_id=2,
        version=3,
        state="ended",
        verdict="rolled_back",
        guardrail="pnl",
        decision=2_417,
        reason="e-value 61.2 passed its threshold 33.3: it earned 0.42 bps a decision less than v2",
        folded=2_417,
        folded_in_step=417,
        step=2,
        share=0.0,
        guards=(GuardSnapshot(name="pnl", evidence=1.17, events=901, detail="e-value 61.2, threshold 33.3"),),
    )


def snapshot(**changes: object) -> Snapshot:
    fields: dict[str, object] = {
        "wall_ns": WALL_NS,
        "event_ns": OPEN_NS + 5_431 * SECOND_NS + 500_000_000,
        "mlflow_uri": "http://127.0.0.1:5000",
        "mlflow_reachable": True,
        "registry_poll_ms": 500,
        "ready": True,
        "models": (
            model(),
            model(
                "eurusd-mlp",
                instruments=("FXCM:EURUSD",),
                feature_set="quotes_v1",
                arms=(arm("champion", 2, share=1.0, served_share=1.0, decisions=48_211, trades=512, pnl_bps=9.6),),
                rollout=rolled_back(),
                divergence=(),
                pnl=tuple(walk(2, "champion", 0, 90, 0.1, 5) + walk(3, "challenger", 600, 40, -0.6, 6)),
            ),
        ),
        "workers": (
            WorkerSnapshot(
                name="worker-0",
                alive=True,
                feed_port=8083,
                doors={"rest": 8080, "grpc": 8081, "zeromq": 8082, "zeromq_publish": 8084},
                counters={
                    "events": 1_204_331,
                    "decisions": 63_281,
                    "abstentions": 212,
                    "shadows_scored": 41_870,
                    **dict.fromkeys(("feed_connections", "feed_refused", "heartbeat_lost", "journal_refused"), 1),
                    **dict.fromkeys(("journal_synced", "journal_waiting", "journal_written", "late"), 126_554),
                    **dict.fromkeys(("markouts", "shadows_expected", "trips"), 63_281),
                    "shadows_dropped": 3,
                    "journal_dropped": 0,
                },
            ),
        ),
        "events": (
            event("alias_moved", "challenger set on v7 by hand in MLflow", 1),
            event("checking", "digests, golden vectors and feature hash agree", 2),
            event("shadow", "scores every decision, acts on none", 3, decision=12_001),
            event("ab", "10 % of decisions from epoch 12", 21, decision=14_263),
            event("alarm", f"drift: {DRIFTED.text}", 31, decision=15_820),
            event("rolled_back", rolled_back().reason, 40, model="eurusd-mlp", version=3, decision=2_417),
            event(
                "mlflow_lost",
                "no answer within 5 s; serving goes on, moves wait in the outbox",
                55,
                model="",
                version=None,
            ),
        ),
    }
    return Snapshot(**{**fields, **changes})  # type: ignore[arg-type]


def empty() -> Snapshot:
    return snapshot(event_ns=None, mlflow_uri="", mlflow_reachable=False, ready=False, models=(), workers=(), events=())


def hostile() -> Snapshot:
    """Markup wherever a stranger could put some, an address that is no web address, and numbers that are not."""
    bad = model(
        MARKUP,
        instruments=(MARKUP,),
        arms=(arm("champion", 1, family=MARKUP, status=MARKUP, tier=MARKUP, pnl_bps=math.nan),),
        rollout=rollout(
            verdict="refused",
            guardrail=MARKUP,
            reason=MARKUP,
            guards=(GuardSnapshot(name=MARKUP, evidence=math.nan, events=0, detail=MARKUP),),
            watches=(watch(MARKUP, math.nan, math.nan, MARKUP, raised=True, since_decision=1),),
        ),
        divergence=(divergence(1, "", math.nan), divergence(1, MARKUP, math.nan), divergence(1, "B", math.inf)),
    )
    return snapshot(mlflow_uri="javascript:alert(1)", models=(bad,), events=(event(MARKUP, MARKUP, 1, model=MARKUP),))
