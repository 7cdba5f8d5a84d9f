"""What runs tasks that are handed over: threads of this process, or a cluster of Dask's or Ray's."""

import re
import socket
from typing import Any, Final

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from data_contracts.errors import MissingDependencyError, UsageError

_PATIENCE_S: Final = 5.0


def task_runner(kind: str, workers: int, cluster: str | None = None) -> TaskRunner[Any]:
    """Return Prefect's task runner.

    Args:
        kind: threads, dask or ray.
        workers: tasks at a time.
        cluster: address of a cluster; None: one on this machine, gone with the flow.

    Raises:
        UsageError: a cluster's address that is none.
        MissingDependencyError: its package is not installed, or nothing answers at `cluster`.
    """
    try:
        if kind == "dask":
            from prefect_dask.task_runners import DaskTaskRunner

            local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
            if cluster:
                _answers(cluster)
            dask: TaskRunner[Any] = DaskTaskRunner(address=cluster, cluster_kwargs=None if cluster else local)
            return dask
        if kind == "ray":
            from prefect_ray.task_runners import RayTaskRunner

            ray: TaskRunner[Any] = RayTaskRunner(
                address=cluster, init_kwargs={} if cluster else {"num_cpus": workers, "include_dashboard": False}
            )
            return ray
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{error.name} is not installed: pip install 'ringcraft[{kind}]' brings it"
        ) from None
    return ThreadPoolTaskRunner(max_workers=workers)


def _answers(address: str) -> None:
    """Refuse an address where nothing listens at once; Dask asks for half a minute, and fails in the flow's midst."""
    found = re.fullmatch(r"\w+://(?P<host>.+):(?P<port>\d{1,5})", address)
    if found is None:
        raise UsageError(f"--cluster: expected a scheduler's address, tcp://HOST:PORT, got {address!r}")
    try:
        socket.create_connection((found["host"].strip("[]"), int(found["port"])), timeout=_PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise MissingDependencyError(f"--cluster {address}: expected a Dask scheduler there, got: {error}") from None
