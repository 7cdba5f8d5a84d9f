"""Windows of the newest vectors, as sequence models read them, over one matrix that is not copied window by window."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH_ROWS = 4096
"""Windows laid out at a time where all of them are run through."""


@dataclass(frozen=True)
class Windows:
    """n windows of `size` vectors, oldest first; stands where a matrix (n, d) stands for models that read one vector.

    Attributes:
        vectors: float32 (m, d), in order of time.
        places: intp (n,), where each window's newest vector stands; at least size - 1 vectors of its session precede.
        size: vectors a window.
    """

    vectors: NDArray[np.float32]
    places: NDArray[np.intp]
    size: int

    def __len__(self) -> int:
        return len(self.places)

    @property
    def shape(self) -> tuple[int, int, int]:
        """n, size, d."""
        return len(self.places), self.size, self.vectors.shape[1]

    def __getitem__(self, rows: Any) -> "Windows":  # noqa: ANN401  whatever numpy takes
        return Windows(self.vectors, np.atleast_1d(self.places[rows]), self.size)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[np.float32]:  # noqa: ANN401
        """Lay the windows out, float32 (n, size, d)."""
        laid: NDArray[np.float32] = self.vectors[self.places[:, None] + np.arange(1 - self.size, 1)]
        return laid if dtype is None else laid.astype(dtype, copy=False)

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[NDArray[np.float32]]:
        """Give all windows, at most `rows` laid out at a time."""
        for start in range(0, len(self), rows):
            yield np.asarray(self[start : start + rows])

    def past(self) -> NDArray[np.float32]:
        """Return every vector up to the newest window's end, from the oldest window's beginning on."""
        return self.vectors[self.places.min() - self.size + 1 : self.places.max() + 1]


def run_lengths(good: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return at each place how many in a row have been good, itself included, shape (n,)."""
    count = np.arange(1, len(good) + 1)
    return count - np.maximum.accumulate(np.where(good, 0, count))
