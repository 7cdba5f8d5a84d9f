"""Making a fitted model smaller where it can be shown not to be worse."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto
from onnx.reference import ReferenceEvaluator

from data_contracts.manifest import MODEL_FILE, Compression
from models.compression import Candidate, Choice, choose, margin_of
from models.compression_front import NONE_QUALIFIED_NOTE, report
from models.families import family
from models.families.dense import DenseModel
from models.families.mlp import MlpConfig
from models.latency import compare
from models.onnx_graph import INPUT
from models.parity import FLOAT_TOLERANCE, Floats, check_parity, golden_inputs, outputs_of, run_onnx
from models.trading import carried_over
from native._native import OnnxError, load_kernel
from pipelines.steps.dataset import Prepared
from pipelines.steps.fit import FittedFamily

TIMED_ROWS = 300
WINDOW_FAMILIES = ("lstm", "deeplob", "binctabl", "mlplob")


@dataclass(frozen=True)
class Compressed:
    """The graph to publish and what was tried on the way."""

    model: ModelProto
    threshold: float
    """The fitted model's, carried over to what the smaller graph says."""
    parity_tolerance: float
    report: Compression | None
    choice: Choice | None
    notes: tuple[str, ...]


def compress(fitted: FittedFamily, prepared: Prepared, *, seed: int) -> Compressed:
    """Return the smallest graph that is not inferior on the held-out rows, after parity on golden vectors.

    The exported original is held against the family's own scores; a compressed graph, whose rounded weights the
    family does not know, against a second engine.

    Raises:
        ParityError: two engines disagree.
    """
    original, rows = fitted.model.to_onnx(), prepared.learn.features
    inputs = golden_inputs(rows)
    check_parity(original, fitted.model.scores, inputs, tolerance=FLOAT_TOLERANCE)
    margin = margin_of(prepared.learn, outputs_of(original))
    candidates = _candidates(fitted, prepared, seed)
    if not candidates:
        return Compressed(original, fitted.threshold, FLOAT_TOLERANCE, None, None, ())
    choice = choose(original, candidates, prepared.held_out, seed=seed, margin=margin.value)
    first, *others = compare([original, *(c.model for c in candidates)], prepared.held_out.features[:TIMED_ROWS])
    found = report(original.ByteSize(), first, choice, others, margin=margin)
    if choice.best is None:
        return Compressed(original, fitted.threshold, FLOAT_TOLERANCE, found, choice, (NONE_QUALIFIED_NOTE,))
    best = choice.best.candidate
    check_parity(best.model, _reference(best.model), inputs, tolerance=best.tolerance)
    threshold = carried_over(fitted.threshold, run_onnx(original, rows), run_onnx(best.model, rows))
    return Compressed(best.model, threshold, best.tolerance, found, choice, ())


def _candidates(fitted: FittedFamily, prepared: Prepared, seed: int) -> list[Candidate]:
    # Imported where they are needed: each brings a library that the other family does without.
    if fitted.family == "xgboost":
        from models.compress_trees import tree_candidates

        return tree_candidates(_as(fitted.model), prepared.learn, fitted.config, seed)
    if isinstance(fitted.model, DenseModel) and isinstance(fitted.config, MlpConfig):
        from models.compress_nets import net_candidates

        return net_candidates(fitted.model, prepared.learn, fitted.config, seed)
    if fitted.family in WINDOW_FAMILIES:
        from models.compress_windows import window_candidates

        return window_candidates(
            _as(fitted.model), _as(family(fitted.family)), prepared.learn, _as(fitted.config), seed
        )
    return []


def _as(model: object) -> Any:  # noqa: ANN401  the family's name says which class it is
    return model


def _reference(model: ModelProto) -> Callable[[Floats], Floats]:
    """Return our own kernels where they know the graph, else onnx's reference evaluator, as a function of rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MODEL_FILE
        path.write_bytes(model.SerializeToString())
        try:
            kernel = load_kernel(str(path))
        except OnnxError:
            evaluator: Any = ReferenceEvaluator(model)
            return lambda rows: evaluator.run(None, {INPUT: rows})[0]
    return lambda rows: kernel.predict(np.ascontiguousarray(rows.reshape(len(rows), -1)))
