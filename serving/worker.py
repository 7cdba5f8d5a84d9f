"""A worker's Python side: it prepares, the native threads serve.

It reads the line-up that the controller writes, makes each version ready, introduces the feed's instruments, and says
how things stand in status.json. It is never on the way of a decision.
"""

import os
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Final

import msgspec
import structlog

from data_contracts.errors import RingcraftError, UsageError
from data_contracts.feed_hello import read_hello
from data_contracts.instrument import Instrument
from data_contracts.journal import Arm
from data_contracts.settings import Settings
from market_data.feature_sets import live_feature_set
from native._native import Worker
from serving import shared_memory
from serving.lineup import (
    INSTRUMENTS_MAX,
    LINEUP_FILE,
    MODELS_MAX,
    SLOTS_MAX,
    STATUS_FILE,
    Lineup,
    ModelLineup,
    Slot,
    SlotStatus,
    WorkerStatus,
    read_whole,
    write_whole,
)
from serving.slots import prepare_version
from serving.told import introduced, told_features, told_limits, told_model_limits, told_protection, with_breakers

_POLL_S: Final = 0.05
_PREPARING_S: Final = 0.005
"""Between two looks whether a version is ready: someone waits for it."""
_STATUS_S: Final = 0.1
_NICENESS: Final = 10
"""Of the thread that prepares versions: a tenth of the weight that the others have."""

log = structlog.get_logger()


def run_worker(settings: Settings, *, number: int = 0, stop: Event | None = None) -> None:
    """Serve decisions until `stop` is set or a SIGTERM or SIGINT comes; then write out everything and return.

    Args:
        settings: the tier's.
        number: which worker; its files are those of worker-<number>.
        stop: ends it; where it is given, no signal handler is installed.

    Raises:
        UsageError: port, state folder or journal cannot be had.
    """
    if stop is None:
        stop = stop_on_signals()
    worker = PreparedWorker(settings, number=number)
    worker.adopt_lineup()
    worker.start()
    try:
        while not stop.is_set():
            worker.turn()
    finally:
        worker.stop()


def stop_on_signals() -> Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop


class PreparedWorker:
    """The native worker, with what the controller and the feed told it."""

    def __init__(self, settings: Settings, *, number: int) -> None:
        name = f"worker-{number}"
        self._state_dir = settings.state_dir.resolve()
        self._lineup_path = self._state_dir / LINEUP_FILE
        self._status_path = self._state_dir / name / STATUS_FILE
        self._status_path.parent.mkdir(parents=True, exist_ok=True)
        self._lineup_stamp: tuple[int, int] | None = None
        self._stopping = False
        self._allow_arm_override = settings.serving.allow_arm_override
        self._generation = 0
        self._models: dict[int, ModelLineup] = {}
        self._slots: dict[tuple[int, int], tuple[Slot, SlotStatus]] = {}
        self._instruments: dict[str, Instrument] = {}
        self._status_at = 0.0
        self._status_due = True
        self._preparing: Future[None] | None = None
        self._preparer = ThreadPoolExecutor(1, thread_name_prefix="prepare", initializer=_step_back)
        self._native = self._open(settings, name, number)
        log.info(
            "worker_opened",
            worker=name,
            feed_port=self._native.feed_port,
            rest_port=self._native.rest_port,
            **self._native.recovered,
        )

    def _open(self, settings: Settings, name: str, number: int) -> Worker:
        journal = shared_memory.journal_folder(self._state_dir, name)
        journal.mkdir(parents=True, exist_ok=True)
        serving = settings.serving
        former = self._former()
        ports = (serving.feed_port or former[0], serving.rest_port or former[1])
        for feed_port, rest_port in dict.fromkeys((ports, (serving.feed_port, serving.rest_port))):
            try:
                return Worker(
                    journal_folder=str(journal),
                    rings_path=str(shared_memory.path(self._state_dir, shared_memory.rings(name))),
                    routing_path=str(shared_memory.path(self._state_dir, shared_memory.ROUTING)),
                    host=serving.host,
                    port=feed_port,
                    rest_port=rest_port,
                    worker=number,
                    core=serving.worker_core,
                    shadow_core=serving.shadow_core,
                    lock_memory=serving.lock_memory,
                    decisions_path=str(shared_memory.path(self._state_dir, shared_memory.decisions(name))),
                    busy_poll=serving.busy_poll,
                    door_path=str(shared_memory.path(self._state_dir, shared_memory.door(name))),
                    allow_arm_override=serving.allow_arm_override,
                    **told_protection(serving),
                    shadow_deadline_ns=serving.shadow_deadline_ms * 1_000_000,
                    heartbeat_timeout_ns=serving.heartbeat_timeout_ms * 1_000_000,
                )
            except RuntimeError as error:
                reason = error
        raise UsageError(f"{name}: {reason}")

    def _former(self) -> tuple[int, int]:
        """Feed's and REST's port of the run before, so that whoever spoke to the old worker finds the new one."""
        try:
            status = read_whole(self._status_path, WorkerStatus)
        except msgspec.DecodeError:
            return 0, 0
        return (status.feed_port, status.rest_port) if status else (0, 0)

    def start(self) -> None:
        """Start the native threads and say so."""
        for refused in self._native.start():
            log.warning("worker_placement", refused=refused)
        self._write_status()

    def turn(self) -> None:
        """Wait a moment for a feed to introduce itself, then look at everything else."""
        hello = self._native.wait_hello(_POLL_S if self._preparing is None else _PREPARING_S)
        if hello is not None:
            self._introduce(hello)
        self.poll_lineup()
        self._native.reclaim()
        if self._status_due or time.monotonic() - self._status_at >= _STATUS_S:
            self._write_status()

    def stop(self) -> None:
        """End the feed, write out everything, say so."""
        self._stopping = True
        self._native.stop()
        self._preparer.shutdown(wait=True)
        self._write_status()
        log.info("worker_stopped", **self._native.counters())

    def _introduce(self, hello: bytes) -> None:
        try:
            said = read_hello(hello)
        except (msgspec.DecodeError, RingcraftError) as error:
            self._native.refuse_hello(f"hello: {error}")
            return
        instruments = said.instruments
        symbols = [instrument.symbol for instrument in instruments]
        if said.arm is not None and not self._allow_arm_override:
            expected = "expected none, as serving.allow_arm_override is false"
            self._native.refuse_hello(f"hello: arm: {expected}, got {said.arm}")
            return
        if not instruments or len(set(symbols)) != len(symbols):
            self._native.refuse_hello(f"hello: expected different instruments, got {symbols}")
            return
        if len(self._instruments.keys() | set(symbols)) > INSTRUMENTS_MAX:
            # Each keeps megabytes of open mark-outs for as long as the worker lives.
            known = len(self._instruments)
            self._native.refuse_hello(f"hello: expected at most {INSTRUMENTS_MAX} instruments in all, {known} known")
            return
        self._instruments.update(zip(symbols, instruments, strict=True))
        arm = Arm.NONE if said.arm is None else Arm[said.arm.upper()]
        self._native.accept_hello(
            [introduced(one) for one in instruments], account=said.account or "", arm=int(arm), depth=said.depth
        )
        self._status_due = True
        log.info("feed_introduced", instruments=symbols, account=said.account, arm=said.arm)

    def poll_lineup(self) -> None:
        """Begin to make ready what the line-up names, where it changed; meanwhile everything else goes on."""
        if self._preparing is not None and self._preparing.done():
            self._preparing.result()
            self._preparing, self._status_due = None, True
        if self._preparing is None and _stamp(self._lineup_path) not in (None, self._lineup_stamp):
            self._preparing = self._preparer.submit(self.adopt_lineup)

    def adopt_lineup(self) -> None:
        """Make ready what the line-up names."""
        self._lineup_stamp = _stamp(self._lineup_path)
        try:
            lineup = read_whole(self._lineup_path, Lineup)
        except msgspec.DecodeError as error:
            log.error("lineup_unreadable", path=str(self._lineup_path), reason=str(error))
            return
        if lineup is not None:
            self._adopt(lineup)

    def _adopt(self, lineup: Lineup) -> None:
        models = {model.index: model for model in lineup.models if 0 <= model.index < MODELS_MAX}
        for index in self._models.keys() - models.keys():
            self._native.clear_model(index)
        for index, model in models.items():
            if _plan(self._models.get(index)) != _plan(model):
                self._set_model(model)
        self._models = models
        wanted = {(model.index, slot.slot): (model, slot) for model in models.values() for slot in model.slots}
        slots = {place: held for place, held in self._slots.items() if place in wanted}
        for place in self._slots.keys() - slots.keys():
            self._native.clear_slot(*place)
        for place, (model, slot) in wanted.items():
            if self._stopping:
                return
            if place not in slots or slots[place][0] != slot:
                slots[place] = (slot, self._prepare(model, slot))
        # Replaced whole: the status may be written meanwhile, and must not tell of a line-up that is half ready.
        self._slots, self._generation = slots, lineup.generation

    def _set_model(self, model: ModelLineup) -> None:
        self._native.set_model(
            index=model.index,
            name=model.name,
            **told_features(model.feature_set, model.features),
            instruments=model.instruments,
            horizon_ns=model.horizon_ns,
            entry_latency_ns=model.entry_latency_ns,
            min_interval_ns=model.min_interval_ns,
            late_or_failed_of_64=model.late_or_failed_of_64,
            output_abs_max=model.output_abs_max,
            loss_budget_bps=model.loss_budget_bps,
            window=model.window,
            **told_model_limits(model),
        )

    def _prepare(self, model: ModelLineup, slot: Slot) -> SlotStatus:
        if not 0 <= slot.slot < SLOTS_MAX:
            return _failed(model, slot, f"slot: expected 0..{SLOTS_MAX - 1}, got {slot.slot}")
        try:
            live = live_feature_set(model.feature_set, model.features)
            ready = prepare_version(Path(slot.folder), model=model.name, live=live)
        except (RingcraftError, OSError) as error:
            self._native.clear_slot(model.index, slot.slot)
            log.warning("version_failed", model=model.name, version=slot.version, reason=str(error))
            # Where it lies on this machine says nothing to who reads the version's tag.
            reason = str(error).replace(f"{slot.folder}/", "").replace(slot.folder, f"version {slot.version}")
            return _failed(model, slot, reason)
        rule = ready.manifest.rule
        self._native.set_slot(
            model=model.index,
            slot=slot.slot,
            version=slot.version,
            expected_bps=rule.kind == "expected_bps",
            threshold=rule.threshold,
            latency_budget_ns=slot.latency_budget_ns,
            live=ready.live,
            shadow=ready.shadow,
            trained_until_ns=max((data.last_event_ns for data in ready.manifest.data), default=0),
            **told_limits(ready.manifest),
        )
        log.info(
            "version_ready",
            model=model.name,
            version=slot.version,
            slot=slot.slot,
            p99_us=ready.warm_p99_us,
            tier=ready.live.tier,
            no_kernel=ready.no_kernel,
        )
        return SlotStatus(
            model=model.name,
            slot=slot.slot,
            version=slot.version,
            state="ready",
            tier=ready.live.tier,
            warm_p50_us=ready.warm_p50_us,
            warm_p99_us=ready.warm_p99_us,
        )

    def _write_status(self) -> None:
        counters = self._native.counters()
        epoch, last_event_ns = counters.pop("epoch"), counters.pop("last_event_ns")
        status = WorkerStatus(
            pid=os.getpid(),
            written_ns=time.time_ns(),
            generation=self._generation,
            epoch=epoch,
            feed_port=self._native.feed_port,
            rest_port=self._native.rest_port,
            slots=with_breakers(self._slots, self._native.breakers()),
            instruments=tuple(self._instruments.values()),
            counters=counters,
            last_event_ns=last_event_ns,
        )
        write_whole(self._status_path, status)
        self._status_at, self._status_due = time.monotonic(), False


def _step_back() -> None:
    """Have this thread leave its core to those that decide: a version can wait, an answer cannot."""
    this_thread = 0
    os.setpriority(os.PRIO_PROCESS, this_thread, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, this_thread)))


def _stamp(path: Path) -> tuple[int, int] | None:
    # Replaced whole each time, so the inode changes even where the clock is too coarse for the time to.
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return facts.st_mtime_ns, facts.st_ino


def _plan(model: ModelLineup | None) -> ModelLineup | None:
    """Return a model's line-up without its slots: what a change of versions leaves alone."""
    return None if model is None else msgspec.structs.replace(model, slots=())


def _failed(model: ModelLineup, slot: Slot, reason: str) -> SlotStatus:
    return SlotStatus(model=model.name, slot=slot.slot, version=slot.version, state="failed", reason=reason)
