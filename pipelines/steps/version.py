"""From a compressed model to a version's folder: figures, card, plots, manifest."""

from functools import partial
from pathlib import Path

import msgspec

from data_contracts.manifest import MODEL_FILE, DecisionRule, Estimate, Latency, Manifest, SeedSpread
from data_contracts.table_limits import feature_limits
from models import plots
from models.card import CARD_FILE, CardFacts, write_card, write_summary
from models.evaluation import evaluate
from models.findings import findings
from models.importance import permutation_importance
from models.labels import LabelReport
from models.latency import measure
from models.metrics import Scores
from models.parity import golden_inputs, run_onnx
from models.seeds import hangs_on_seed
from pipelines.package import package, source_commit
from pipelines.request import TrainRequest
from pipelines.steps.compress import Compressed
from pipelines.steps.dataset import Prepared
from pipelines.steps.fit import FittedFamily
from pipelines.steps.trials import NOTHING_KNOWN, Before

SUMMARY_FILE = "card.md"
_KEPT_OUT_OF_FOLD = ("mcc", "log_loss", "net_pnl_bps")
_KEPT_OF_BASELINES = ("mcc", "information_coefficient", "net_pnl_bps")


def build_version(
    folder: Path,
    fitted: FittedFamily,
    compressed: Compressed,
    prepared: Prepared,
    baselines: dict[str, dict[str, Estimate]],
    request: TrainRequest,
    seeds: SeedSpread | None = None,
    before: Before = NOTHING_KNOWN,
) -> Manifest:
    """Write everything that is published of one family into `folder`; return its manifest.

    All figures are those of the very graph that is published, on rows it has not learnt from; beside them stands how
    far they hang on the seed, and the deflated Sharpe ratio counts what was tried `before`, too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(compressed.model.SerializeToString())
    scores = run_onnx(compressed.model, prepared.held_out.features)
    tried = request.trials * len(set(request.families))
    metrics = evaluate(
        scores,
        prepared.held_out,
        threshold=compressed.threshold,
        seed=request.seed,
        trials=tried + before.trials,
        cut=fitted.cut,
    )
    metrics["trials_before"] = Estimate(value=float(before.trials))
    said = findings(metrics, {name: each for name, each in baselines.items() if name != fitted.family}, prepared.labels)
    metrics |= {f"walk_forward_{name}": fitted.walk_forward[name] for name in _KEPT_OUT_OF_FOLD}
    metrics |= _beside(baselines) | _of_labels(prepared.labels)
    latency, pictures = _pictures(folder, scores, fitted.cut, compressed, prepared, request)
    facts = CardFacts(
        model=request.model,
        family=fitted.family,
        instrument=prepared.instrument,
        feature_set=prepared.features.name,
        features=prepared.features.features,
        label=prepared.label,
        labels=prepared.labels,
        threshold=compressed.threshold,
        score="P(up) - P(down)" if scores.shape[1] == 3 else "the expected move in bps",
        data=prepared.ranges,
        metrics=metrics,
        baselines=baselines,
        trials=before.sentence(tried),
        seeds=seeds,
        compression=compressed.report,
        latency=latency,
        notes=(*said, *hangs_on_seed(metrics, seeds), *fitted.notes, *compressed.notes),
        source_commit=source_commit(),
    )
    (folder / CARD_FILE).write_text(write_card(facts, pictures))
    (folder / SUMMARY_FILE).write_text(write_summary(facts))
    return package(
        folder,
        compressed.model,
        model=request.model,
        family=fitted.family,
        feature_set=prepared.features,
        rule=DecisionRule(
            kind="up_minus_down" if scores.shape[1] == 3 else "expected_bps", threshold=compressed.threshold
        ),
        label=prepared.label,
        golden_inputs=golden_inputs(prepared.learn.features),
        limits=feature_limits(prepared.features),
        data=prepared.ranges,
        metrics=metrics,
        seeds=seeds,
        compression=compressed.report,
        parity_tolerance=compressed.parity_tolerance,
        latency=latency,
        notes=facts.notes,
    )


def _beside(baselines: dict[str, dict[str, Estimate]]) -> dict[str, Estimate]:
    return {f"baseline_{name}_{key}": found[key] for name, found in baselines.items() for key in _KEPT_OF_BASELINES}


def _of_labels(labels: LabelReport) -> dict[str, Estimate]:
    shares = ("share_down", "share_flat", "share_up", "share_paying", "share_labels_paying")
    return {f"label_{name}": Estimate(value=getattr(labels, name)) for name in shares}


def evidence_files(fitted: FittedFamily, compressed: Compressed) -> dict[str, bytes]:
    """Return what a run keeps of the fitting, by file name: the configuration and every compression trial."""
    trials = [
        {
            "steps": trial.candidate.steps,
            "bytes": trial.size_bytes,
            "compared": trial.compared,
            "confirmed": trial.confirmed,
        }
        for trial in (compressed.choice.trials if compressed.choice else ())
    ]
    return {
        "config.json": msgspec.json.format(msgspec.json.encode(fitted.config)),
        "compression_trials.json": msgspec.json.format(msgspec.json.encode(trials)),
    }


def _pictures(
    folder: Path,
    scores: Scores,
    cut: float,
    compressed: Compressed,
    prepared: Prepared,
    request: TrainRequest,
) -> tuple[Latency, dict[str, bytes]]:
    held_out = prepared.held_out
    latency, samples = measure(folder / MODEL_FILE, held_out.features[:500])
    rises = permutation_importance(partial(run_onnx, compressed.model), held_out, seed=request.seed)
    pictures = {
        "pnl_curve": plots.pnl_curve(scores, held_out, threshold=compressed.threshold),
        "calibration": plots.calibration(scores, held_out),
        "confusion": plots.confusion(scores, held_out, cut=cut),
        "importance": plots.importance(rises, held_out.names),
        "latency": plots.latency(samples),
    }
    if compressed.report is not None:
        pictures["compression_front"] = plots.compression_front(compressed.report)
    (folder / "plots").mkdir(exist_ok=True)
    for name, png in pictures.items():
        (folder / "plots" / f"{name}.png").write_bytes(png)
    return latency, pictures
