"""A small multi-layer perceptron, learnt by PyTorch, kept as plain arrays."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray
from torch import nn

from models.families.dense import DenseModel, Layer
from models.families.moves import MoveScale, move_loss
from models.families.port import EITHER, Features, Targets, learns_moves, refuse_unusable
from models.families.stopping import Best, cut_rows
from models.scaling import Scaling

if TYPE_CHECKING:
    import optuna

THREADS = 1
"""A net this small only loses by more."""
MIN_STEPS = 32
"""Steps an epoch takes at least."""


class MlpConfig(Struct, frozen=True):
    """Width of the two hidden layers and how they learn."""

    hidden: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    epochs: int = 8
    """At most."""
    batch_rows: int = 512
    """At most; few rows make smaller batches, so that an epoch has steps enough to learn."""


class Mlp:
    """Two hidden layers, ReLU, softmax over classes."""

    name = "mlp"
    window = 1
    targets = EITHER

    def suggest(self, trial: "optuna.Trial") -> MlpConfig:
        """Return the configuration that `trial` tries."""
        return MlpConfig(
            hidden=trial.suggest_categorical("hidden", [16, 32, 64]),
            learning_rate=trial.suggest_float("learning_rate", 5e-4, 1e-2, log=True),
            weight_decay=trial.suggest_float("weight_decay", 1e-5, 1e-1, log=True),
            epochs=trial.suggest_int("epochs", 4, 12),
        )

    def default(self) -> MlpConfig:
        """Return a cautious middle."""
        return MlpConfig()

    def fit(self, features: Features, targets: Targets, config: MlpConfig, seed: int) -> DenseModel:
        """Learn from scratch; the same seed on the same device gives the same weights."""
        refuse_unusable(features, targets, self.targets)
        torch.manual_seed(seed)
        widths = (features.shape[1], config.hidden, config.hidden, 1 if learns_moves(targets) else 3)
        layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
        return learn(Scaling.of(features), layers, features, targets, config, seed, stops=True)


def learn(
    scaling: Scaling,
    layers: Sequence[nn.Linear],
    features: Features,
    targets: Targets | NDArray[np.float32],
    config: MlpConfig,
    seed: int,
    *,
    stops: bool = False,
) -> DenseModel:
    """Return `layers`, with ReLU between them, after `config.epochs` from where they stand.

    Args:
        scaling: of the features; stays as it is.
        layers: each reads what the one before gives; the last gives three logits, or one move.
        features: rows (n, d).
        targets: classes (n,), shares of the three classes (n, 3) to be taught, or moves in bps (n,) by Huber's loss.
        config: epochs, rates and batches; its width is not read.
        seed: of the order of the rows.
        stops: keep the epoch that did best on the last rows, which are then not learnt from; False: learn from all of
            them to the end, as what is taught another model's answers does.
    """
    torch.set_num_threads(THREADS)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    stack: list[nn.Module] = [layers[0]]
    for layer in layers[1:]:
        stack += [nn.ReLU(), layer]
    net = nn.Sequential(*stack).to(device)
    rows = torch.from_numpy(scaling.apply(features)).to(device)
    loss_of: Callable[..., torch.Tensor] = nn.functional.cross_entropy
    scale = MoveScale.of(targets.astype(np.float64)) if learns_moves(targets) else None
    if scale:
        wanted, loss_of = scale.shrunk(targets.astype(np.float64)).to(device), move_loss
    else:
        wanted = torch.from_numpy(targets.astype(np.int64 if targets.ndim == 1 else np.float32)).to(device)
    shuffle = torch.Generator().manual_seed(seed)
    learnt, validated = cut_rows(len(rows)) if stops else (len(rows), len(rows))
    batch_rows = max(32, min(config.batch_rows, learnt // MIN_STEPS))
    batches = -(-learnt // batch_rows)
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=batches * config.epochs)
    best = Best(net)
    for _ in range(config.epochs):
        order = torch.randperm(learnt, generator=shuffle).to(device)
        for chosen in torch.split(order, batch_rows):
            optimiser.zero_grad(set_to_none=True)
            loss = loss_of(net(rows[chosen]), wanted[chosen])
            loss.backward()  # type: ignore[no-untyped-call]  # torch publishes no type for it
            optimiser.step()
            rate.step()
        if stops:
            with torch.inference_mode():
                reached = float(loss_of(net(rows[validated:]), wanted[validated:]))
            if best.enough(reached):
                break
    if stops:
        best.restore()
    if scale:
        scale.into_bps(layers[-1])
    return DenseModel(scaling, tuple(_arrays(layer) for layer in layers), "mlp")


def linear(layer: Layer) -> nn.Linear:
    """Return the layer as PyTorch has it."""
    weights, bias = layer
    made = nn.Linear(*weights.shape)
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(weights.T.copy()))
        made.bias.copy_(torch.from_numpy(bias.copy()))
    return made


def _arrays(layer: nn.Linear) -> Layer:
    weights = layer.weight.detach().cpu().numpy().T
    return np.ascontiguousarray(weights), layer.bias.detach().cpu().numpy().copy()


FAMILY = Mlp()
