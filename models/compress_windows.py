"""Smaller nets over windows: narrower students taught by the net, weights in int8 after and while learning.

What is cut is structure: hidden units, channels or features, all by one share. The narrower net does not start from cut
weights but is taught afresh what the wide one says.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, Final

import numpy as np
import torch
from msgspec import structs
from numpy.typing import NDArray
from onnx import ModelProto
from torch import Tensor, nn

from models.compression import Candidate
from models.dataset import Dataset
from models.families.moves import move_loss
from models.families.sequence import SequenceConfig, SequenceFamily, SequenceModel, as_windows, learn
from models.int8_graph import static, stored
from models.int8_learning import int8_seen
from models.parity import INT8_TOLERANCE
from models.windows import Windows

STUDENT_SIZES: Final = (0.24, 0.12)
"""Of the original's bytes, at most, weights in int8."""
STUDENT_EPOCHS: Final = 8
TUNING_EPOCHS: Final = 3
CALIBRATION_ROWS: Final = 256
WIDTH_STEPS: Final = 32
"""Parts that every width is cut by until the net is small enough."""
_WIDTHS: Final = ("hidden", "channels", "features")
"""Fields of the families' configurations that say how wide a net is."""
_STORED = "weights kept as int8"

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def window_candidates(
    model: SequenceModel, family: SequenceFamily, learnt_from: Dataset, config: SequenceConfig, seed: int
) -> list[Candidate]:
    """Return `model` in int8 and its narrower students, in int8 after training and tuned to it.

    Students learn what `model` says, not the labels: they stay close to it row by row.
    """
    return list(_candidates(model, family, learnt_from, config, seed))


def _candidates(
    model: SequenceModel,
    family: SequenceFamily,
    learnt_from: Dataset,
    config: Any,  # noqa: ANN401  each family has its own
    seed: int,
) -> Iterator[Candidate]:
    graph, windows = model.to_onnx(), as_windows(learnt_from.features, model.name)
    yield from _static(graph, windows)
    yield Candidate((_STORED,), stored(graph), INT8_TOLERANCE)
    said, outputs = model.scores(learnt_from.features), 3 if model.moves is None else 1
    teacher = told_by(said) if model.moves is None else told_moves(model.moves.shrunk(said[:, 0].astype(np.float64)))
    targets = learnt_from.classes if model.moves is None else learnt_from.mid_move_bps
    for size in STUDENT_SIZES:
        narrower = narrowed(model, family, config, size * graph.ByteSize())
        if narrower is None:
            continue
        learning, tuning = (
            structs.replace(narrower, epochs=n, weight_decay=0.0) for n in (STUDENT_EPOCHS, TUNING_EPOCHS)
        )
        torch.manual_seed(seed)
        net = family.build(narrower, model.window, windows.shape[2], outputs)
        learn(net, model.scaling, windows, targets, learning, seed, teacher)
        step = f"distilled into {_widths(narrower)}"
        yield Candidate((step, _STORED), stored(_model(model, net).to_onnx()), INT8_TOLERANCE)
        aware = deepcopy(net)
        with int8_seen(aware):
            learn(aware, model.scaling, windows, targets, tuning, seed, teacher)
        steps = (step, f"{_STORED}, tuned to the original while rounded")
        yield Candidate(steps, stored(_model(model, aware).to_onnx()), INT8_TOLERANCE)


def narrowed(
    model: SequenceModel,
    family: SequenceFamily,
    config: Any,  # noqa: ANN401  each family has its own
    most_bytes: float,
) -> Any | None:  # noqa: ANN401  each family has its own
    """Return the widest configuration below `config` whose graph fits into `most_bytes` in int8; None: none does."""
    fields = [field for field in _WIDTHS if hasattr(config, field)]
    few, many, fitting = 1, WIDTH_STEPS, None
    while many - few > 1:  # wider is larger
        steps = (few + many) // 2
        widths = {field: max(2, round(steps / WIDTH_STEPS * getattr(config, field))) for field in fields}
        smaller = structs.replace(config, **widths)
        net = family.build(smaller, model.window, len(model.scaling.mean), 3 if model.moves is None else 1)
        if stored(_model(model, net).to_onnx()).ByteSize() <= most_bytes:
            few, fitting = steps, smaller
        else:
            many = steps
    return fitting


def told_by(said: NDArray[np.float32]) -> Loss:
    """Return the loss of logits against what a teacher said of the same rows, (n, 3).

    Source:
        Hinton, Vinyals, Dean (2015), arXiv 1503.02531, with a temperature of 1.
    """
    wanted = torch.from_numpy(said)

    def loss(logits: Tensor, _classes: Tensor, rows: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, wanted.to(logits.device)[rows])

    return loss


def told_moves(wanted: Tensor) -> Loss:
    """Return Huber's loss of moves against what a teacher said of the same rows, (n, 1), in standard deviations."""

    def loss(said: Tensor, _moves: Tensor, rows: Tensor) -> Tensor:
        return move_loss(said, wanted.to(said.device)[rows])

    return loss


def _static(graph: ModelProto, windows: Windows) -> Iterator[Candidate]:
    if sum(node.op_type in ("Gemm", "MatMul", "Conv") for node in graph.graph.node) > 1:  # recurrent layers stay float
        chosen = np.linspace(0, len(windows) - 1, CALIBRATION_ROWS).astype(np.intp)
        made = static(graph, np.asarray(windows[chosen]))
        yield Candidate(("weights and activations int8, calibrated after training",), made, INT8_TOLERANCE)


def _model(like: SequenceModel, net: nn.Module) -> SequenceModel:
    return SequenceModel(like.scaling, net, window=like.window, name=like.name, moves=like.moves)


def _widths(config: Any) -> str:  # noqa: ANN401  each family has its own
    return ", ".join(f"{getattr(config, field)} {field}" for field in _WIDTHS if hasattr(config, field))
