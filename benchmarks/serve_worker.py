"""The worker's own process, which here also knows a set of 64 features that nobody feeds: rows of it are asked for."""

import sys
from typing import Final

from data_contracts.feature_set import FeatureSet
from market_data.feature_sets import FEATURE_SETS
from ringcraft.processes.worker import main

WIDE: Final = FeatureSet(
    name="wide_64", features=tuple(f"feature_{place}" for place in range(64)), parameters={}, warm_up_events=0
)

if __name__ == "__main__":
    FEATURE_SETS[WIDE.name] = WIDE
    sys.exit(main())
