"""A real worker process under a real controller with its HTTP face; only the registry is in memory."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from worker_kit import MODEL, Tier, tier, wait_for

from data_contracts.policy import Policy
from data_contracts.settings import ServedModel
from native._native import RoutingTable
from registry.memory import MemoryRegistry
from serving.console.app import console_app
from serving.console.server import ConsoleServer
from serving.controller.commands import ControllerCommands
from serving.controller.controller import Controller
from serving.controller.loop import run_loop
from serving.controller.publisher import Heartbeat
from serving.outcomes.api import outcome_routes


@dataclass
class Controlled:
    """What a test needs of it."""

    running: Tier
    controller: Controller
    registry: MemoryRegistry
    url: str

    def deploy(self, alias: str, version: Path) -> None:
        """Publish a version, move an alias to it and wait until it is routed."""
        self.registry.move_alias(MODEL, alias, self.registry.publish(MODEL, version, tags={}))
        wait_for(lambda: alias in _routed(self.running.routing), f"the {alias} to be routed")


@contextlib.contextmanager
def controlled(folder: Path, policy: Policy) -> Iterator[Controlled]:
    """Give such a tier; the controller ends with the block, the worker with the tier."""
    registry = MemoryRegistry()
    with tier(folder) as running:
        running.start()
        controller = Controller(
            registry=registry,
            models=(ServedModel(name=MODEL),),
            policy=policy,
            state_dir=running.state,
            table=running.routing,
            poll_s=0.05,
        )
        routes = outcome_routes(controller.intake, controller.pnl)
        app = console_app(lambda: controller.snapshot, ControllerCommands(controller), routes=routes)
        stop = threading.Event()
        loop = threading.Thread(target=run_loop, args=(controller, Heartbeat(running.routing), stop))
        with ConsoleServer(app) as console:
            loop.start()
            try:
                yield Controlled(running, controller, registry, console.url)
            finally:
                stop.set()
                loop.join(20)


def _routed(routing: RoutingTable) -> set[str]:
    _, routes = routing.read()
    named = {"champion": routes and routes[0].champion_slot != 255, "challenger": routes and routes[0].rollout_id}
    return {name for name, there in named.items() if there}
