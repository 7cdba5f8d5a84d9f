"""How far a family's figures hang on the seed it learnt with: the same configuration and rows, learnt over again."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from data_contracts.manifest import Estimate, SeedSpread, Spread

_OF_THE_SEARCH: Final = frozenset(("trials", "trials_before", "sharpe_bar", "deflated_sharpe"))
"""Figures of how many configurations were tried: no seed changes that."""
_SHOWN_TO_BE: Final = {
    "information_coefficient": "What it predicts",
    "net_pnl_bps": "What it earns",
}


def spread_of(by_seed: Sequence[Mapping[str, Estimate]]) -> dict[str, Spread]:
    """Return lowest, mean and highest value of every figure that could be measured with every seed."""
    found = {}
    for name in by_seed[0]:
        values = [each[name].value for each in by_seed]
        known = [value for value in values if value is not None]
        if name not in _OF_THE_SEARCH and len(known) == len(values):
            found[name] = Spread(low=min(known), mean=float(np.mean(known)), high=max(known))
    return found


def hangs_on_seed(found: Mapping[str, Estimate], seeds: SeedSpread | None) -> tuple[str, ...]:
    """Return a sentence for every figure that is shown to be above 0 and is not so with another seed.

    Args:
        found: of the published version, on rows not learnt from.
        seeds: the same family on the same rows, with each seed; None: it learnt with one alone.
    """
    said = []
    for name, what in _SHOWN_TO_BE.items():
        spread = seeds.held_out.get(name) if seeds else None
        low = found[name].low
        if seeds is None or spread is None or low is None or not low > 0:
            continue
        if not spread.low > 0:
            words = name.replace("_bps", " a decision, bps").replace("_", " ")
            said.append(
                f"{what} hangs on the seed: {words} from {spread.low:.3g} to {spread.high:.3g} over "
                f"{len(seeds.seeds)} of them."
            )
    return tuple(said)
