"""A cluster that is not there is told at once, in one line."""

import pytest

from data_contracts.errors import MissingDependencyError, UsageError
from pipelines.runners import task_runner
from ringcraft.ports import free_port


def test_address_where_nobody_answers_is_refused_at_once() -> None:
    pytest.importorskip("prefect_dask")
    with pytest.raises(MissingDependencyError, match=r"--cluster tcp://127.0.0.1:\d+: expected a Dask scheduler there"):
        task_runner("dask", 2, f"tcp://127.0.0.1:{free_port()}")
    for wrong in ("nowhere", "tcp://here:port", "here:8786"):
        with pytest.raises(
            UsageError, match=f"--cluster: expected a scheduler's address, tcp://HOST:PORT, got '{wrong}'"
        ):
            task_runner("dask", 2, wrong)
