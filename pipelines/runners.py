"""What runs tasks that are handed over: threads of this process, or a cluster of Dask's or Ray's."""

from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from data_contracts.errors import MissingDependencyError


def task_runner(kind: str, workers: int, cluster: str | None = None) -> TaskRunner[Any]:
    """Return Prefect's task runner.

    Args:
        kind: threads, dask or ray.
        workers: tasks at a time.
        cluster: address of a cluster; None: one on this machine, gone with the flow.

    Raises:
        MissingDependencyError: its package is not installed.
    """
    try:
        if kind == "dask":
            from prefect_dask.task_runners import DaskTaskRunner

            local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
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
