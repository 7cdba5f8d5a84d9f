"""Prefect flows over plain steps: ingest, train, compress, validate, publish."""

import os

# Read when Prefect is first imported, so set before any module here imports it. The caller chooses PREFECT_HOME or a
# server; on the server that Prefect starts by itself nothing is scheduled, so the services that watch schedules would
# only take processor time.
for _name, _value in {
    "PREFECT_LOGGING_LEVEL": "WARNING",
    # Of other libraries: Prefect's own server, as it ends, logs the traceback of a connection that it cuts itself.
    "PREFECT_LOGGING_ROOT_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # Threads that spin for work starve whatever else the machine does.
    "OMP_WAIT_POLICY": "PASSIVE",
}.items():
    os.environ.setdefault(_name, _value)
