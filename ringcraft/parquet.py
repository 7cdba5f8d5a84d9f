"""Tables as files."""

from pathlib import Path
from typing import TYPE_CHECKING

from data_contracts.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa


def refuse_missing_folder(option: str, path: Path) -> None:
    """Refuse, before any work is done, a file whose folder is not there.

    Raises:
        UsageError: so it is.
    """
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{option}: {path}: expected a folder that is there, got {path.parent}")


def write_table(table: "pa.Table", path: Path) -> None:
    """Write a Parquet file that appears whole or not at all.

    Raises:
        UsageError: it cannot be written.
    """
    import pyarrow.parquet as pq

    part = path.with_name(f".{path.name}.part")
    try:
        pq.write_table(table, part)
        part.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
