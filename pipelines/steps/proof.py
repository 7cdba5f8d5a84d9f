"""Whether a version carries proof of what it is worth after costs: not that it is worth something, but how much."""

import math
from pathlib import Path
from typing import Final

from data_contracts.manifest import Estimate, Manifest

_SUFFIX: Final = ".refused"
WORTH: Final = "net_pnl_bps"
"""PnL after spread, fee and latency, in bps a decision, on rows not learnt from."""


def unproven(manifest: Manifest) -> str | None:
    """Return what is missing for a version to be published, None where nothing is.

    Asked for: what it earns after costs with its interval, the same of a baseline on the same rows, the data it was
    made of, and of a compressed form that it is not inferior within its margin. A NaN is no proof.
    """
    missing = []
    if not _known(manifest.metrics.get(WORTH)):
        missing.append(f"{WORTH} with a 95 % interval")
    if not any(
        name.endswith(f"_{WORTH}") and _known(of) for name, of in manifest.metrics.items() if "baseline" in name
    ):
        missing.append(f"{WORTH} of a baseline beside it")
    if not manifest.data:
        missing.append("the data it was made of")
    small = manifest.compression
    if small is not None and small.steps and not (small.not_inferior and small.difference_high <= small.margin):
        missing.append(f"a compressed form inside its margin ({small.difference_high:g} of {small.margin:g})")
    return "no proof of what it is worth after costs: expected " + ", ".join(missing) if missing else None


def refuse(folder: Path, why: str | None) -> None:
    """Keep beside a version's folder why it is not to be published; None: take that back."""
    mark = _mark(folder)
    if why is None:
        mark.unlink(missing_ok=True)
    else:
        mark.write_text(why)


def refused(folder: Path) -> str | None:
    """Return why the version in `folder` is not to be published, None where nothing was said against it."""
    mark = _mark(folder)
    return mark.read_text() if mark.is_file() else None


def marks(folder: Path) -> list[Path]:
    """Return the refusals that lie in `folder`, beside the versions' folders they are of."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def folder_of(mark: Path) -> Path:
    """Return the version's folder that a refusal is of, there or not."""
    return mark.with_name(mark.name.removesuffix(_SUFFIX))


def _mark(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{_SUFFIX}")


def _known(estimate: Estimate | None) -> bool:
    if estimate is None or estimate.value is None or estimate.low is None or estimate.high is None:
        return False
    return all(map(math.isfinite, (estimate.low, estimate.value, estimate.high)))
