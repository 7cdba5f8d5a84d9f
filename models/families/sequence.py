"""What the nets that read windows share: how they learn, score and leave as ONNX."""

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray
from onnx import ModelProto
from torch import nn

from data_contracts.errors import UsageError
from models.families.moves import MoveScale, move_loss
from models.families.port import EITHER, Features, Targets, learns_moves, refuse_unusable
from models.families.stopping import Best, cut_rows
from models.onnx_builder import GraphBuilder
from models.scaling import Scaling
from models.windows import BATCH_ROWS, Windows

if TYPE_CHECKING:
    import optuna

WINDOW: Final = 32
"""Vectors a sequence family reads."""
THREADS: Final = 1
"""Nets this small only lose by more, most of all beside other work."""
MIN_STEPS: Final = 16


class SequenceConfig(Struct, frozen=True, kw_only=True):
    """How such a net learns; each family adds its sizes."""

    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    epochs: int = 8
    """At most."""
    batch_rows: int = 256


class SequenceModel:
    """A net that has learnt, with its normalisation; of moves with their scale, None: of classes."""

    def __init__(
        self, scaling: Scaling, net: nn.Module, *, window: int, name: str, moves: MoveScale | None = None
    ) -> None:
        """Take them over; the net is put on the CPU, where it is served."""
        self.scaling, self.net, self.window, self.name = scaling, net.cpu().eval(), window, name
        self.moves = moves

    def scores(self, features: Features) -> NDArray[np.float32]:
        """Return P(down), P(flat), P(up), (n, 3), or the expected move in bps, (n, 1), of windows (n, w, d)."""
        parts = features.batches() if isinstance(features, Windows) else np.array_split(features, _parts(features))
        with torch.inference_mode():
            said = [self._outputs(self.net(torch.from_numpy(self.scaling.apply(part)))).numpy() for part in parts]
        return np.concatenate(said)

    def _outputs(self, said: torch.Tensor) -> torch.Tensor:
        return said.softmax(dim=1) if self.moves is None else said * self.moves.std + self.moves.mean

    def to_onnx(self) -> ModelProto:
        """Return the same function as a graph: windows (batch, w, d) in, `output` (batch, 3 or 1) out."""
        graph = GraphBuilder(self.scaling, self.window)
        net: Any = self.net
        logits = net.write(graph)
        if self.moves is not None:
            said = graph.rescaled(logits, self.moves.std, self.moves.mean)
            return graph.finish(said, outputs=1, name=self.name)
        return graph.finish(graph.node("Softmax", logits, axis=1), outputs=3, name=self.name)


class SequenceFamily:
    """Fits one kind of net to windows."""

    name: str
    window = WINDOW
    targets = EITHER

    @abstractmethod
    def build(self, config: Any, window: int, width: int, outputs: int = 3) -> nn.Module:  # noqa: ANN401  each family has its own
        """Return the net, untaught."""

    @abstractmethod
    def default(self) -> Any:  # noqa: ANN401
        """Return the configuration used where nothing is tuned."""

    def fit(self, features: Features, targets: Targets, config: Any, seed: int) -> SequenceModel:  # noqa: ANN401
        """Learn from windows; the same seed on the same device gives the same weights.

        Raises:
            UsageError: no windows were given, a feature or a move is NaN or infinite, or a class is missing.
        """
        windows = as_windows(features, self.name)
        refuse_unusable(windows.vectors[windows.places], targets, self.targets)
        torch.manual_seed(seed)
        moves = MoveScale.of(np.asarray(targets, dtype=np.float64)) if learns_moves(targets) else None
        net = self.build(config, windows.size, windows.shape[2], 3 if moves is None else 1)
        scaling = Scaling.of(windows.past())
        learn(net, scaling, windows, targets, config, seed)
        return SequenceModel(scaling, net, window=windows.size, name=self.name, moves=moves)


def suggested(trial: "optuna.Trial") -> dict[str, Any]:
    """Return what every sequence family tries of how to learn."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 5e-4, 5e-3, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-5, 1e-1, log=True),
    }


def as_windows(features: Any, name: str) -> Windows:  # noqa: ANN401  a matrix where a caller forgot
    """Return windows; those laid out as an array (n, w, d) are taken as n sequences of their own.

    Raises:
        UsageError: the rows are no windows.
    """
    if isinstance(features, Windows):
        return features
    if features.ndim != 3:
        raise UsageError(f"{name}: expected windows (n, w, d) to learn from, got rows of shape {features.shape}")
    rows, size, width = features.shape
    return Windows(features.reshape(-1, width), np.arange(1, rows + 1) * size - 1, size)


def learn(
    net: nn.Module,
    scaling: Scaling,
    windows: Windows,
    targets: Targets,
    config: SequenceConfig,
    seed: int,
    loss_of: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
) -> None:
    """Teach `net` in place: AdamW, one cycle of the learning rate, the epoch kept that did best on the last rows.

    Classes are not weighted: serving compares probabilities with a threshold, and weights would bend them.

    Args:
        net: windows (b, w, d) to logits (b, 3), or to moves in standard deviations (b, 1).
        scaling: learnt from the same windows' past.
        windows: n of them, oldest first.
        targets: classes, int8 (n,), or moves in bps, float64 (n,), learnt by Huber's loss.
        config: how to learn.
        seed: of the order of rows.
        loss_of: from logits, classes and row numbers to a loss; None: cross entropy, or Huber's of moves.
    """
    torch.set_num_threads(THREADS)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net.to(device)
    vectors = torch.from_numpy(scaling.apply(windows.vectors)).to(device)
    places = torch.from_numpy(windows.places.astype(np.int64)).to(device)
    plain: Callable[..., torch.Tensor] = nn.functional.cross_entropy
    if learns_moves(targets):
        moves = np.asarray(targets, dtype=np.float64)
        wanted, plain = MoveScale.of(moves).shrunk(moves).to(device), move_loss
    else:
        wanted = torch.from_numpy(targets.astype(np.int64)).to(device)
    reach = torch.arange(1 - windows.size, 1, device=device)
    learnt, validated = cut_rows(len(windows), windows.size)
    last = torch.arange(validated, len(windows), device=device)
    batch_rows = max(16, min(config.batch_rows, learnt // MIN_STEPS))
    steps = -(-learnt // batch_rows) * config.epochs
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=steps)
    shuffle = torch.Generator().manual_seed(seed)
    compare = loss_of or (lambda said, right, _: plain(said, right))

    def logits_of(rows: torch.Tensor) -> torch.Tensor:
        said: torch.Tensor = net(vectors[places[rows][:, None] + reach])
        return said

    best = Best(net)
    for _ in range(config.epochs):
        net.train()
        for rows in torch.split(torch.randperm(learnt, generator=shuffle).to(device), batch_rows):
            optimiser.zero_grad(set_to_none=True)
            loss = compare(logits_of(rows), wanted[rows], rows)
            loss.backward()  # type: ignore[no-untyped-call]  # torch publishes no type for it
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            rate.step()
        net.eval()
        with torch.inference_mode():
            parts = [logits_of(rows) for rows in torch.split(last, BATCH_ROWS)]
            reached = float(plain(torch.cat(parts), wanted[last]))
        if best.enough(reached):
            break
    best.restore()
    net.cpu().eval()


def _parts(features: Features) -> int:
    return max(1, -(-len(features) // BATCH_ROWS))
