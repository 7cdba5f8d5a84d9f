"""Where Prefect and MLflow keep their own files, and how loud they are; set before either is imported."""

import os
from pathlib import Path


def keep_prefect_quiet(work: Path) -> None:
    """Put Prefect's files under `work` and keep its chatter off the terminal; what the user set stays."""
    os.environ.setdefault("PREFECT_HOME", str(work.resolve() / "prefect"))
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
