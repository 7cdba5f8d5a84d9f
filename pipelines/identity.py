"""What makes a run the same run: its data, what is asked of them, and the code that answers.

Steps are cached, and versions published once, under these keys.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

from data_contracts.recording import Recording
from pipelines.request import TrainRequest

_ROOT: Final = Path(__file__).resolve().parents[1]
_CODE: Final = ("data_contracts/*.py", "market_data/**/*.py", "models/**/*.py", "pipelines/steps/*.py", "native/*.so")
_LIBRARIES: Final = ("numpy", "onnx", "onnxmltools", "onnxruntime", "optuna", "scikit-learn", "torch", "xgboost-cpu")
PLACES: Final = frozenset(
    (
        *("cluster", "experiment", "format", "instrument", "leader", "mlflow_uri"),
        *("runner", "source", "storage", "tuners", "work", "workers"),
    )
)
"""Fields of a request that say where, not what: the data's fingerprints stand for the source."""
_OF_LEARNING: Final = ("objectives", "seed", "sequence", "trials")
_NOT_OF_ROWS: Final = frozenset((*_OF_LEARNING, "families", "seeds"))


def rows_key(recordings: Sequence[Recording], request: TrainRequest) -> str:
    """Return what the rows of `request` depend on, as a SHA-256 in hex."""
    asked = {name: value for name, value in _fields(request).items() if name not in PLACES | _NOT_OF_ROWS}
    leads = "=" in (request.feature_set or "")
    read_later = (request.feature_set, (request.leader or request.source) if leads else None)
    files = [_state(Path(name)) for name in read_later if name]
    return _digest([recording.fingerprint for recording in recordings], asked, files, code_digest())


def learn_key(rows: str, request: TrainRequest, family: str, config: object = None) -> str:
    """Return what one family's graph depends on: its rows, how it is tuned or with what it is fitted, its window."""
    how = [getattr(request, name) for name in _OF_LEARNING]
    return _digest(rows, family, how, request.model, msgspec.to_builtins(config))


def build_key(rows: str, request: TrainRequest, family: str, config: object = None) -> str:
    """Return what one family's version depends on: its graph, and with how many seeds its figures are stated."""
    return _digest(learn_key(rows, request, family, config), request.seeds)


def tune_key(rows: str, request: TrainRequest, family: str) -> str:
    """Return what a study is kept under; one asked for in a storage of its own is made there, not read from here."""
    key = f"tune-{learn_key(rows, request, family)}"
    return f"{key}-{_digest(request.storage)[:8]}" if request.storage else key


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Return a SHA-256 over the code that makes rows and models, and the versions of the libraries under it."""
    files = sorted(path for pattern in _CODE for path in _ROOT.glob(pattern))
    content = [(path.relative_to(_ROOT).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
    return _digest(content, [(name, version(name)) for name in _LIBRARIES])


def _fields(request: TrainRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in request.__struct_fields__}


def _state(path: Path) -> list[tuple[str, int, int]]:
    # Of a leader's source or a fitted set's file: size and time of change, since it is read only with the rows.
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]


def _digest(*parts: object) -> str:
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()
