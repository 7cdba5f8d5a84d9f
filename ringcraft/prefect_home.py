"""Where Prefect keeps its own files; set before it is imported."""

import os
from pathlib import Path


def keep_prefect_in(work: Path) -> None:
    """Put Prefect's files under `work`; what the user set stays."""
    import pipelines  # noqa: F401  sets the rest of Prefect's environment, which must come before Prefect too

    home = work.resolve() / "prefect"
    home.mkdir(parents=True, exist_ok=True)  # Prefect makes the last folder alone, and without it waits in vain
    os.environ.setdefault("PREFECT_HOME", str(home))
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
