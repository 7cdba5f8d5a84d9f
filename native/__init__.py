"""Native code: one extension module, `native._native`; see _native.pyi for what it offers."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from data_contracts.errors import MissingDependencyError

__all__ = ["onnxruntime_library"]


@cache
def onnxruntime_library() -> str:
    """Return the path of ONNX Runtime's shared library inside its wheel, without importing the package.

    Raises:
        MissingDependencyError: the wheel is not installed, or holds no such library.
    """
    spec = find_spec("onnxruntime")
    folders = () if spec is None else tuple(spec.submodule_search_locations or ())
    for folder in folders:
        found = sorted(Path(folder, "capi").glob("libonnxruntime.so.*"))
        if found:
            return str(found[-1])
    raise MissingDependencyError("onnxruntime: expected its wheel with capi/libonnxruntime.so.*, found none")
