"""Turns the controller round until told to stop, and says so to the heartbeat."""

from threading import Event
from typing import Final

import structlog

from data_contracts.errors import RingcraftError
from serving.controller.controller import Controller
from serving.controller.publisher import Heartbeat

log = structlog.get_logger()

TURN_S: Final = 0.05
HURRIED_S: Final = 0.01


def run_loop(controller: Controller, heartbeat: Heartbeat, stop: Event) -> None:
    """Follow, judge and publish until `stop`; the heartbeat goes on only while the loop does."""
    controller.start()
    heartbeat.start()
    try:
        while not stop.is_set():
            more = _turn(controller)
            if controller.caught_up:  # before that nobody has judged: shares stay with the champion
                heartbeat.turned()
            if not more:
                controller.woken.wait(HURRIED_S if controller.hurried else TURN_S)
                controller.woken.clear()
    finally:
        heartbeat.stop()
        controller.stop()


def _turn(controller: Controller) -> bool:
    # One model's trouble, a full disk for example, must not end the judging of all.
    try:
        return controller.turn()
    except (RingcraftError, OSError) as error:
        log.error("turn_failed", error=f"{type(error).__name__}: {error}")
        return False
