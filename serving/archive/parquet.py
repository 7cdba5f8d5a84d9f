"""Columns to Parquet and back; pyarrow is imported by whoever calls, and never by a worker."""

# mypy: disable-error-code="no-any-return"
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_contracts.errors import MissingDependencyError, RingcraftError
from serving.archive.segment import Columns


def pyarrow() -> Any:  # noqa: ANN401  a module
    """Return pyarrow with its Parquet part.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise MissingDependencyError("the archive needs pyarrow: pip install 'ringcraft[archive]'") from None
    return pa


def table_of(columns: Columns) -> Any:  # noqa: ANN401  a pyarrow.Table
    """Return a pyarrow table; words are kept as dictionaries, NaN as null."""
    pa = pyarrow()
    arrays = {}
    for name, values in columns.items():
        if values.dtype == object:
            arrays[name] = pa.array(values, pa.string()).dictionary_encode()
        else:
            arrays[name] = pa.array(np.ascontiguousarray(values), from_pandas=values.dtype.kind == "f")
    return pa.table(arrays)


def columns_of(table: Any) -> Columns:  # noqa: ANN401  a pyarrow.Table
    """Return a table's columns; null is NaN, words are str."""
    return {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names}


def write_verified(path: Path, table: Any) -> str:  # noqa: ANN401  a pyarrow.Table
    """Write a Parquet file, read it back, compare, and only then give it its name; return its SHA-256.

    Raises:
        RingcraftError: what was read back is not what was written.
    """
    pq = pyarrow().parquet
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    pq.write_table(table, part, compression="zstd")
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    if not pq.read_table(part).equals(table):
        raise RingcraftError(f"{part}: expected what was written, read something else back")
    part.replace(path)
    sync_folder(path.parent)
    sync_folder(path.parent.parent)
    return sha256_of(path)


def read_columns(paths: Sequence[Path]) -> list[Columns]:
    """Return the columns of each file."""
    pq = pyarrow().parquet
    return [columns_of(pq.read_table(path, partitioning=None)) for path in paths]


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make names in a folder outlive a loss of power."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
