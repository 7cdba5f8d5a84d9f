"""`python -m ringcraft.processes.controller [--config FILE]`: follows the registry, judges, shows the console."""

import importlib.util
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec
import structlog

from data_contracts.errors import RingcraftError, UsageError
from data_contracts.policy import Policy, read_policy
from data_contracts.settings import NotifySettings, Settings
from native._native import RoutingTable
from registry.mlflow_registry import MlflowRegistry
from ringcraft.processes.options import settings_from_arguments
from serving import shared_memory
from serving.archive.archivist import Archivist
from serving.console.app import console_app
from serving.console.door_metrics import DoorCollector
from serving.console.guard import LOOPBACK
from serving.console.server import ConsoleServer
from serving.console.webhook import SECRET_VARIABLE, webhook_routes
from serving.controller.commands import ControllerCommands
from serving.controller.controller import Controller
from serving.controller.loop import run_loop
from serving.controller.publisher import Heartbeat
from serving.notify.channels import SECRET_VARIABLE as NOTIFY_SECRET_VARIABLE
from serving.notify.channels import Channel, CommandChannel, PrefectChannel, WebhookChannel
from serving.notify.notifier import NOTICES_FILE, Notifier
from serving.outcomes.api import outcome_routes
from serving.outcomes.sql_store import SqlOutcomeStore, outcome_url
from serving.supervisor import CONSOLE_FILE
from serving.worker import stop_on_signals

log = structlog.get_logger()


def run_controller(settings: Settings) -> None:
    """Control the tier until SIGTERM or SIGINT.

    Raises:
        UsageError: the console's port is taken, or settings are wrong.
        MissingDependencyError: outcomes go to PostgreSQL and its driver is not installed.
        PolicyError: the policy cannot be followed.
        RegistryError: the alias history is damaged.
    """
    stop = stop_on_signals()
    state_dir = settings.state_dir.resolve()
    state_dir.mkdir(parents=True, exist_ok=True)
    serving = settings.serving
    table = RoutingTable.create(str(shared_memory.path(state_dir, shared_memory.ROUTING)))
    notifier = Notifier(state_dir / NOTICES_FILE, notify_channels(settings.notify), queue_max=settings.notify.queue_max)
    controller = Controller(
        registry=MlflowRegistry(settings.mlflow.uri, timeout_s=settings.mlflow.timeout_s),
        models=serving.models,
        policy=_policy(serving.policy),
        policy_file=serving.policy,
        notifier=notifier,
        state_dir=state_dir,
        table=table,
        poll_s=serving.registry_poll_ms / 1000.0,
        mlflow_uri=settings.mlflow.uri,
        outcomes=SqlOutcomeStore(outcome_url(settings.outcomes.url.get_secret_value(), state_dir)),
    )
    webhook = webhook_routes(os.environ.get(SECRET_VARIABLE, ""), controller.follower.poll_sooner)
    app = console_app(
        lambda: controller.snapshot,
        ControllerCommands(controller),
        routes=[*webhook, *outcome_routes(controller.intake, controller.pnl)],
        hosts=(*LOOPBACK, *serving.console_hosts),
        collectors=[DoorCollector(state_dir, serving.doors)],
    )
    server = ConsoleServer(app, host=serving.host, port=serving.console_port, tls=serving.console_tls)
    with server as console, _archivist(settings):
        _state_port(state_dir, console.port)
        log.info("controller_started", console=console.url, models=[model.name for model in serving.models])
        notifier.start()
        run_loop(controller, Heartbeat(table), stop)
        notifier.stop()
    log.info("controller_stopped")


def _archivist(settings: Settings) -> AbstractContextManager[object]:
    if importlib.util.find_spec("pyarrow") is None:
        return nullcontext()
    # The command finds its settings as this process did: in its arguments, the environment, the folder.
    command = [sys.executable, "-m", "ringcraft.cli", "compact", *sys.argv[1:]]
    return Archivist(command, every_s=settings.archive.every_hours * 3600.0)


def notify_channels(settings: NotifySettings) -> list[Channel]:
    """Return the channels that are set up."""
    channels: list[Channel] = []
    if settings.webhook_url:
        secret = os.environ.get(NOTIFY_SECRET_VARIABLE, "")
        channels.append(WebhookChannel(settings.webhook_url, secret=secret, timeout_s=settings.timeout_s))
    if settings.command:
        channels.append(CommandChannel(settings.command, timeout_s=settings.command_timeout_s))
    if settings.prefect_api_url:
        channels.append(PrefectChannel(settings.prefect_api_url, timeout_s=settings.timeout_s))
    return channels


def _policy(path: Path) -> Policy:
    if path.exists():
        return read_policy(path)
    log.warning("policy_absent", path=str(path), using="defaults")
    return Policy()


def _state_port(state_dir: Path, port: int) -> None:
    part = state_dir / f".{CONSOLE_FILE}.part"
    part.write_bytes(msgspec.json.encode({"console_port": port}))
    part.replace(state_dir / CONSOLE_FILE)


def main() -> int:
    """Run until SIGTERM or SIGINT; return 0, 2 for wrong settings, 3 where something needed is missing."""
    try:
        run_controller(settings_from_arguments("controller"))
    except (RingcraftError, msgspec.DecodeError, RuntimeError) as error:
        log.error("controller_refused", reason=str(error))
        return 2 if isinstance(error, UsageError) else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
