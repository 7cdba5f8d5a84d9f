"""The demonstration, step by step; see `ringcraft demo --help` for what it shows."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.errors import QuarantinedError, RingcraftError
from data_contracts.policy import read_policy
from pipelines.adversaries import random_trader, slow
from pipelines.flows import Given, train_flow
from pipelines.request import TrainedVersion, TrainRequest, TrainResult
from pipelines.scheduled import net_pnl_bps
from pipelines.steps.contract import hold_to_contract
from registry.mlflow_registry import MlflowRegistry
from ringcraft.child import Child
from ringcraft.console_client import Console, read_snapshot
from ringcraft.demo.broken import broken
from ringcraft.demo.live import Happenings, Replay, model_of, wait_until, watch
from ringcraft.demo.plan import FAST, FULL, MODEL, Plan, Size, make_plan, make_policy
from ringcraft.demo.report import disagreements, rollout_entry, show, show_models, summary, write_summary
from ringcraft.demo.tier import serving_tier, write_config
from ringcraft.demo.words import COLUMNS, KINDS, LIVE, WIDTHS, conclusion, event_row, market
from ringcraft.mlflow_server import MlflowServer
from ringcraft.policy_file import write_policy
from ringcraft.ports import reserve_port
from ringcraft.terminal import out, progress, say, say_row, words
from serving.console.snapshot import RolloutSnapshot, Snapshot
from serving.judge import judge_journal

MARKER = "summary.json"
ALIAS_FREE_LIMIT_S = 20.0
"""For the tier to write a verdict back to MLflow."""
CARD = "card.md"
"""Becomes the description that MLflow shows of a version."""


@dataclass(frozen=True)
class Options:
    """What the command line said."""

    data: Path | None
    format_name: str | None
    instrument: str | None
    work: Path
    fast: bool


def run_demo(options: Options, linger: Callable[[str, str], None]) -> bool:
    """Run everything; return whether both bad versions came off and the judge agrees.

    Args:
        options: what the command line said.
        linger: called with the console's and MLflow's address while both still run.

    Raises:
        RingcraftError: a step failed; its message says which and why.
    """
    started = time.monotonic()
    size = FAST if options.fast else FULL
    work = options.work
    with ExitStack() as stack:
        mlflow = MlflowServer(work / "mlflow", port=reserve_port(5000))
        stack.callback(mlflow.stop)
        mlflow.start()  # takes seconds, while the recording is read and checked
        plan = _step_recording(options, size, work)
        _step_broken(plan, work)
        out.print("\n[bold]3-4[/] train, prune, quantize, export, register")
        mlflow.wait_ready()
        say(f"MLflow: {mlflow.uri}")
        registry = MlflowRegistry(mlflow.uri)
        result = _step_train(plan, size, work, mlflow.uri, registry)
        champion, challenger = _order(result)
        bad = _register_bad(registry, champion, work)
        document = _step_live(stack, plan, size, work, registry, mlflow.uri, (champion, challenger), bad)
        document |= {"recording": _recording(plan, options), "seconds": round(time.monotonic() - started, 1)}
        problems = document.pop("problems")
        write_summary(work / MARKER, document)
        out.print()
        show(document)
        for line in (market(result.versions), *conclusion(document)):
            say(line, indent=0)
        for line in problems:
            say(f"[bold red]{line}[/]", indent=0)
        out.print(f"\n{document['seconds']:.0f} s. Summary: {work / MARKER}")
        linger(document["console_url"], mlflow.uri)
    return not problems


def _step_recording(options: Options, size: Size, work: Path) -> Plan:
    out.print("[bold]1[/] read a recording")
    plan = make_plan(options.data, options.format_name, options.instrument, size, work)
    say(f"{plan.train.instrument.symbol} from {plan.source}")
    for note in plan.notes:
        say(note)
    for reason, count in {**plan.train.skipped, **plan.live.skipped}.items():
        say(f"left out while reading: {count:,} {words(reason)}")
    return plan


def _step_broken(plan: Plan, work: Path) -> None:
    out.print("\n[bold]2[/] check it against its contract, and a copy broken on purpose")
    (report,) = hold_to_contract([plan.train], work)
    say(f"the recording meets all {len(report.results)} rules")
    try:
        hold_to_contract([broken(plan.train)], work)
    except QuarantinedError as error:
        say("the broken copy is quarantined, nothing is learnt from it:")
        for rule in error.rules:
            say(f"- {rule}", indent=6)
        say(f"report for people: {error.folder / 'report.html'}")
    else:
        raise RingcraftError("the broken recording passed its contract")


def _step_train(plan: Plan, size: Size, work: Path, mlflow_uri: str, registry: MlflowRegistry) -> TrainResult:
    request = TrainRequest(
        model=MODEL,
        horizon_ns=plan.horizon_ns,
        min_interval_ns=plan.learn_interval_ns,
        trials=size.trials,
        mlflow_uri=mlflow_uri,
        work=str(work / "training"),
    )
    if size is FAST:
        request = request.faster()
    with progress() as bars:
        bar = bars.add_task("training", total=None, note="starts Prefect, makes rows and labels")

        def on_step(text: str, done: int, total: int) -> None:
            bars.update(bar, completed=done, total=total, note=text)

        result = train_flow(request, Given(recordings=[plan.train], registry=registry, on_step=on_step))
    labels = result.labels
    say(
        f"{result.learnt_rows:,} rows to learn from, {result.held_out_rows:,} later ones held out; "
        f"{plan.horizon_ns / 1e9:g} s on, the price is down in {labels.share_down:.0%}, about the same in "
        f"{labels.share_flat:.0%}, up in {labels.share_up:.0%}; {labels.share_paying:.0%} of the moves are larger than "
        "spread and fees"
    )
    show_models(result.versions)
    return result


def _order(result: TrainResult) -> tuple[TrainedVersion, TrainedVersion]:
    """Return champion and challenger: the better on held-out rows challenges, as a new model would."""
    ordered = sorted(result.versions, key=net_pnl_bps)
    return ordered[0], ordered[-1]


def _register_bad(registry: MlflowRegistry, champion: TrainedVersion, work: Path) -> dict[str, int]:
    makers = {"harmful": random_trader, "slow": slow}
    versions = {}
    for kind, make in makers.items():
        folder = work / "training" / "versions" / kind
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CARD).write_text(f"# {kind} on purpose\n\nMade to be rolled back: {KINDS[kind]}.\n")
        manifest = make(Path(champion.folder), folder)
        versions[kind] = registry.publish(MODEL, folder, tags={"ringcraft.family": manifest.family})
        say(f"version {versions[kind]}: {kind} on purpose, {KINDS[kind]}")
    return versions


def _step_live(
    stack: ExitStack,
    plan: Plan,
    size: Size,
    work: Path,
    registry: MlflowRegistry,
    mlflow_uri: str,
    honest: tuple[TrainedVersion, TrainedVersion],
    bad: dict[str, int],
) -> dict[str, Any]:
    out.print("\n[bold]5-6[/] serve, and let aliases move")
    champion, challenger = honest
    policy_file = work / "policy.toml"
    write_policy(policy_file, make_policy(plan, size))
    symbol = plan.live.instrument.symbol
    config, console = write_config(work, model=MODEL, instrument=symbol, mlflow_uri=mlflow_uri)
    registry.move_alias(MODEL, "champion", champion.version)
    tier = stack.enter_context(serving_tier(config, work / "serving.log"))
    # Asked with every look: a tier that could not have its ports is gone, and who answers there is another's.
    log = f"(log: {work / 'serving.log'})"
    snapshot = wait_until(console, _ready_while(tier, log), timeout_s=60.0, what=f"a champion {log}")
    say(f"console: {console}   champion: version {champion.version} ({champion.family})")
    for line in LIVE:
        say(line)

    speed = size.decisions_per_second * _seconds_per_decision(plan)
    replay = Replay(plan.live, f"127.0.0.1:{snapshot.workers[0].feed_port}", speed)
    say(f"The rest of the recording goes live at {speed:.0f} times its own pace; silences are cut to a minute.")
    replay.start()
    stack.callback(replay.stop)
    rollouts = []
    for kind, version in (("honest", challenger.version), ("harmful", bad["harmful"]), ("slow", bad["slow"])):
        rollouts.append(_rollout(registry, console, kind, version, replay, size.max_decisions))
    replay.stop()
    latency = _champion_latency(console)
    tier_journal = work / "state" / "journal"
    tier_alive = tier.alive
    judged = judge_journal(tier_journal, read_policy(policy_file))
    problems = disagreements(rollouts, judged)
    problems += [f"the {r['kind']} version was not rolled back: {r['verdict']}" for r in rollouts if not _as_wanted(r)]
    problems += [] if tier_alive else ["the serving tier ended before its time"]
    if not problems:
        out.print()
        say("`ringcraft judge` reads the same verdicts at the same decision numbers out of the journal.")
    return {
        **summary(
            recording={},
            versions=[champion, challenger],
            rollouts=rollouts,
            latency_us=latency,
            journal=tier_journal,
            policy=policy_file,
            mlflow_uri=mlflow_uri,
            console_url=console,
        ),
        "problems": problems,
    }


def _as_wanted(rollout: dict[str, Any]) -> bool:
    if rollout["kind"] == "honest":
        return rollout["verdict"] in ("promoted", "inconclusive", "rolled_back")
    return bool(rollout["verdict"] == "rolled_back")


def _seconds_per_decision(plan: Plan) -> float:
    events = plan.live.events["event_ns"]
    # The median, so that a lunch break does not make the pace.
    import numpy as np

    gap_ns = float(np.median(np.diff(events))) * plan.events_per_decision
    return max(gap_ns, plan.min_interval_ns) / 1e9


def _ready_while(tier: Child, log: str) -> Callable[[Snapshot], bool]:
    def ready(snapshot: Snapshot) -> bool:
        if not tier.alive:
            raise RingcraftError(f"the serving tier ended with exit code {tier.exit_code} {log}")
        return snapshot.ready and any(model.model == MODEL for model in snapshot.models)

    return ready


def _wait_for_the_alias(registry: MlflowRegistry) -> None:
    # MLflow has no compare-and-set: an alias moved while the tier is about to delete it would be deleted too.
    end = time.monotonic() + ALIAS_FREE_LIMIT_S
    while "challenger" in registry.aliases(MODEL):
        if time.monotonic() > end:
            raise RingcraftError(f"the alias challenger was not taken back within {ALIAS_FREE_LIMIT_S:.0f} s")
        time.sleep(0.1)


def _rollout(
    registry: MlflowRegistry, console: str, kind: str, version: int, replay: Replay, max_decisions: int
) -> dict[str, Any]:
    out.print()
    say(f"[bold]alias challenger -> version {version}[/], {kind}: {KINDS[kind]}")
    say_row([f"[dim]{name}[/]" for name in COLUMNS], WIDTHS, indent=6)
    happenings = Happenings(MODEL, version)
    _wait_for_the_alias(registry)
    registry.move_alias(MODEL, "challenger", version)
    with progress() as bars:
        market_bar = bars.add_task("market events", total=len(replay.recording), note="")
        judged = bars.add_task(f"version {version}, judged", total=max_decisions, note="waiting to be seen")

        def on_look(snapshot: Snapshot, rollout: RolloutSnapshot | None) -> None:
            bars.update(market_bar, completed=replay.sent)
            if rollout is not None:
                bars.update(judged, completed=min(rollout.folded, max_decisions), note=_standing(rollout))
            for event in happenings.new(snapshot):
                acted = rollout is not None and rollout.verdict == event.kind
                row = event_row(event, rollout.guardrail if rollout is not None and acted else "")
                say_row(row, WIDTHS, indent=6)

        ending = watch(console, MODEL, version, replay, on_look=on_look)
    if ending.verdict == "promoted":
        over = wait_until(console, lambda s: not _baking(s), timeout_s=60.0, what="the bake to end")
        for event in happenings.new(over):
            say_row(event_row(event), WIDTHS, indent=6)
    return rollout_entry(MODEL, kind, ending)


def _standing(rollout: RolloutSnapshot) -> str:
    """Say in a few words where the rollout stands and which guardrail is closest to acting."""
    stage = f"acts on {rollout.share:.0%}" if rollout.share else words(rollout.state)
    closest = max(rollout.guards, key=lambda guard: guard.evidence, default=None)
    if closest is None or not closest.evidence > 0:
        return f"{stage}, no guardrail near"
    return f"{stage}, {closest.name} guard at {closest.evidence:.0%}"


def _baking(snapshot: Snapshot) -> bool:
    state = model_of(snapshot, MODEL)
    return (
        state is not None and state.rollout is not None and state.rollout.kind == "bake" and not state.rollout.verdict
    )


def _champion_latency(console: str) -> dict[str, float | None]:
    state = model_of(read_snapshot(Console(console)), MODEL)
    arm = next((a for a in state.arms if a.arm == "champion"), None) if state is not None else None
    return {"p50": arm.latency_p50_us if arm else None, "p99": arm.latency_p99_us if arm else None}


def _recording(plan: Plan, options: Options) -> dict[str, Any]:
    return {
        "source": plan.source,
        "instrument": plan.live.instrument.symbol,
        "simulated": options.data is None,
        "train_events": len(plan.train),
        "live_events": len(plan.live),
        "horizon_s": plan.horizon_ns / 1e9,
        "min_interval_s": plan.min_interval_ns / 1e9,
        "notes": list(plan.notes),
    }
