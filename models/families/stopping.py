"""When a net stops learning: by the last of the rows it learns from, never by rows it is tested on."""

from copy import deepcopy
from typing import Final, NamedTuple

from torch import nn

VALIDATED_SHARE: Final = 0.15
"""Last share of the rows learnt from, on which training stops; the test rows are later still."""
GAP_ROWS: Final = 32
"""Before them: rows whose labels may reach into what is validated on."""
PATIENCE: Final = 2
"""Epochs without a better loss there."""


class Cut(NamedTuple):
    """The first `learnt` rows are learnt from; those from `validated` on say when to stop."""

    learnt: int
    validated: int


def cut_rows(rows: int, gap: int = GAP_ROWS) -> Cut:
    """Return how `rows` rows, oldest first, are cut, with `gap` of them between."""
    validated = rows - max(1, round(rows * VALIDATED_SHARE))
    return Cut(max(1, validated - gap), validated)


class Best:
    """Keeps a net as it was after its best epoch."""

    def __init__(self, net: nn.Module) -> None:
        """Begin with the net as it stands, which anything beats."""
        self.net, self.loss, self.worse = net, float("inf"), 0
        self._kept = deepcopy(net.state_dict())

    def enough(self, loss: float) -> bool:
        """Take the loss after one more epoch; return whether it has been no better for too long."""
        if loss < self.loss:
            self.loss, self._kept, self.worse = loss, deepcopy(self.net.state_dict()), 0
        else:
            self.worse += 1
        return self.worse > PATIENCE

    def restore(self) -> None:
        """Give the net back its best weights."""
        self.net.load_state_dict(self._kept)
