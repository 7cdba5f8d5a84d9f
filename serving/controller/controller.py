"""The controller's loop: aliases, worker and journal in; line-up, routes and write-backs out.

It reads the journal and never writes it; a rollback takes effect in the routing table before anything is written
back. After a restart the fold is made again from the journal, which gives the same conclusions.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import structlog

from data_contracts.errors import JournalError
from data_contracts.policy import Policy
from data_contracts.policy_tags import ERROR_TAG
from data_contracts.settings import ServedModel
from native._native import Route
from registry.history import HISTORY_FILE, History
from registry.looks import LastLook
from registry.port import ModelRegistry
from serving.console.snapshot import OutcomesSnapshot, Snapshot
from serving.controller.book import BOOK_FILE, RolloutIds, read_book, write_book
from serving.controller.explaining import Explainer
from serving.controller.follower import LOOK_FILE, Follower
from serving.controller.judging import Judging
from serving.controller.news import News, Teller
from serving.controller.policies import Policies
from serving.controller.publisher import Publisher, Table, route_of, same_route
from serving.controller.salts import Salts
from serving.controller.snapshot import model_snapshot, worker_snapshot
from serving.controller.versions import Versions, live_versions
from serving.controller.writer import SetModelTag, Writer
from serving.doors.ports import listening
from serving.lineup import WorkerStatus
from serving.outcomes.cells import DEFAULT_BY, By, Row, columns_of, table_by
from serving.outcomes.intake import Intake
from serving.outcomes.port import OutcomeStore
from serving.outcomes.sql_store import SqlOutcomeStore, outcome_url
from serving.rollout.desk import Desk
from serving.rollout.effects import DeleteAlias, Effect, Ended, MoveAlias, Noted
from serving.rollout.fold import JournalFold

log = structlog.get_logger()

WORKER: Final = "worker-0"
SNAPSHOT_S: Final = 0.25
PNL_S: Final = 1.0


class Controller:
    """One tier's control loop; `turn` goes round once, from one thread."""

    def __init__(
        self,
        *,
        registry: ModelRegistry,
        models: Sequence[ServedModel],
        policy: Policy,
        state_dir: Path,
        table: Table,
        policy_file: Path | None = None,
        notifier: Teller | None = None,
        poll_s: float = 0.5,
        mlflow_uri: str = "",
        outcomes: OutcomeStore | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Take up where the state folder says the last controller was.

        Posted outcomes are kept in a file of the state folder where no other store is given.

        Raises:
            RegistryError: the alias history is damaged.
            JournalError: the order in which posted outcomes were taken is.
            msgspec.DecodeError: rollouts.json is.
        """
        state_dir.mkdir(parents=True, exist_ok=True)
        self._state_dir, self._table = state_dir, table
        self.policies = Policies(policy, policy_file)
        self._poll_s, self._mlflow_uri, self._wall_ns = poll_s, mlflow_uri, wall_ns
        self._book = read_book(state_dir / BOOK_FILE)
        self._ids = RolloutIds(self._book)
        self._instruments = {model.name: model.instruments for model in models}
        self.desks = {
            m.name: Desk(self._book.desk(m.name), partial(self.policies.of, m.name), self._ids.take) for m in models
        }
        self.history = History(state_dir / HISTORY_FILE)
        last_look = LastLook(state_dir / LOOK_FILE)
        self.follower = Follower(
            registry, list(self.desks), self.history, period_s=poll_s, last_look=last_look, wall_ns=wall_ns
        )
        self.writer = Writer(state_dir / "outbox.jsonl", registry, self.follower, self.history)
        self.woken = threading.Event()
        """Set when something came that the next turn should not wait for."""
        self.follower.changed = self.woken.set
        self._publisher = Publisher(state_dir, WORKER)
        self.versions = Versions(
            self.desks,
            registry,
            state_dir / "versions",
            self.writer,
            self._publisher,
            woken=self.woken.set,
            unfit=partial(self._note, "unfit"),
            wall_ns=wall_ns,
        )
        store = outcomes if outcomes is not None else SqlOutcomeStore(outcome_url("", state_dir))
        self._judging = Judging(state_dir, WORKER, policy, store)
        self._explainer = Explainer(self._book, self._judging, self.writer, self.history, self.versions, self._now_text)
        self._journal_broken = ""
        self.caught_up = False
        """The journal has been read to its end once: until then nothing is routed, for it may say otherwise."""
        self._followed: set[str] = set()
        self._policy_errors: dict[str, str] = {}
        self.lock = threading.RLock()
        """Held while the loop turns and while a person's command is carried out."""
        self._status: WorkerStatus | None = None
        self._routes: list[Route] | None = None
        self._salts = Salts(table.read()[1])
        self._news = News(wall_ns, notifier)
        self._saved = b""
        self._begun: set[int] = set()
        """Rollouts that the book on the disk knows; no other is routed."""
        self._snapshot_at = self._pnl_at = 0.0
        self._pnl: tuple[Row, ...] = ()
        self._was_reachable = False
        self._save()
        self.snapshot = self._make_snapshot()

    @property
    def fold(self) -> JournalFold:
        """What the journal has shown so far."""
        return self._judging.fold

    @property
    def intake(self) -> Intake:
        """Where outcomes are posted."""
        return self._judging.intake

    @property
    def hurried(self) -> bool:
        """Whether a version waits for its worker: the next turn should come soon."""
        return self.versions.hurried

    def start(self) -> None:
        """Begin to follow the registry and to write back."""
        self.intake.start()
        self.follower.start()
        self.writer.start()

    def stop(self) -> None:
        """Stop every thread; what is not written back stays in the outbox."""
        self.follower.stop()
        self.versions.stop()
        self.writer.stop()
        self.intake.stop()
        self._judging.ledger.save()
        self._save()
        if not any(desk.effects for desk in self.desks.values()):
            self._judging.save(at_once=True)
        self.history.close()

    def turn(self) -> bool:
        """Go round once; return whether more of the journal is waiting to be read."""
        with self.lock:
            told = self.policies.reload()
            if told is not None:
                self._note("policy", "", None, told)
            if self.caught_up:  # what the journal says of a rollout comes before what its alias says now
                self._take_aliases()
            self.versions.take_prepared()
            self._take_status()
            more = self._take_journal()  # last: what it makes the desks move is in the outbox before aliases are read
            self.settle()
            self._judging.save()
            if time.monotonic() - self._snapshot_at > SNAPSHOT_S:
                self.snapshot = self._make_snapshot()
        return more

    def settle(self) -> None:
        """Make true what the desks want: routing first, then line-up, write-backs and the book; then what begins.

        A crash in between leaves the book as it was: the journal gives the same conclusions again, and writing
        back twice does no harm. A rollout is routed once the book knows it, so that every one in the journal is known.
        """
        self._keep_policies()
        self._publish()
        self.versions.write_lineup(self._instruments, self._routes or ())
        self.versions.ask(self._routes or ())
        for desk in self.desks.values():
            # Aliases first: whoever reads a tag finds them moved already.
            desk.effects.sort(key=lambda one: not isinstance(one, MoveAlias | DeleteAlias))
            while desk.effects:
                self._carry_out(desk, desk.effects[0])
                del desk.effects[0]  # not before it is done: a full disk must not lose it
        self._explainer.complete(self.desks.values())
        self._save()
        self._publish()

    def refresh(self) -> None:
        """Make the snapshot anew at once."""
        self.snapshot = self._make_snapshot()

    # --- what comes in --------------------------------------------------------

    def _take_aliases(self) -> None:
        for name, desk in self.desks.items():
            aliases = self.follower.aliases(name)
            if aliases is None:
                continue
            self._take_policy_tags(name)
            aliases = self.writer.overlay(name, aliases)
            if aliases != desk.wanted or name not in self._followed:
                self._followed.add(name)
                desk.aliases(aliases)
            else:
                self.versions.retry_refused(name)

    def _take_policy_tags(self, model: str) -> None:
        tags = self.follower.tags(model)
        self.policies.take_tags(model, tags)
        error = self.policies.error(model)
        if error != self._policy_errors.get(model, tags.get(ERROR_TAG, "")):
            self.writer.add(model, SetModelTag(key=ERROR_TAG, value=error), since=self._now_text())
            self._note("policy_refused" if error else "policy_read", model, None, error or "policy tags taken")
        self._policy_errors[model] = error

    def _take_status(self) -> None:
        try:
            status = self._publisher.status()
        except msgspec.DecodeError as error:
            log.error("status_unreadable", error=str(error))
            return
        if status is None:
            return
        self._status = status
        self._judging.keep_ticks(status.instruments)
        self.versions.take_status(status)

    def _take_journal(self) -> bool:
        try:
            events, more = self._judging.take()
        except JournalError as error:
            self.caught_up = True  # as far as it goes: every rollout is paused
            if str(error) != self._journal_broken:
                self._journal_broken = str(error)
                log.error("journal_damaged", error=str(error))
                for desk in self.desks.values():
                    desk.pause(f"the journal cannot be read: {error}")
            return False
        for event in events:
            if event.model in self.desks:
                log.info("rollout_event", **msgspec.to_builtins(event))
                self.desks[event.model].folded(event)
        self._take_reconciliation()
        self.caught_up = self.caught_up or not more
        return more

    def _take_reconciliation(self) -> None:
        """Tell desks where paper and realised parted, or agree again."""
        book = self._judging.ledger.book
        book.policy = self.policies.of_file.reconciliation
        turned, book.turned = book.turned, []
        for turn in turned:
            said = turn.reading
            log.warning("reconciliation", model=said.model, version=said.version, raised=said.raised, text=said.text)
            if said.model in self.desks:
                self.desks[said.model].compared(
                    said.version,
                    turn.decision,
                    said.text,
                    raised=said.raised,
                    pauses=book.policy.action == "pause",
                )

    # --- what goes out --------------------------------------------------------

    def _keep_policies(self) -> None:
        for desk in self.desks.values():
            rollout = desk.state.rollout
            if rollout is not None and rollout.live:
                self._judging.keep_policy(rollout.rollout_id, desk.policy)

    def _publish(self) -> None:
        if self._status is None or not self.caught_up:
            return
        routes = [
            route_of(desk, self.versions.ready(name), self._salts.of(desk, self.fold.model(name)), begun=self._begun)
            for name, desk in self.desks.items()
        ]
        before = self._routes
        if before is not None and len(before) == len(routes) and all(map(same_route, before, routes)):
            return
        # A tier that was stopped leaves no table behind: its epochs go on from the journal's last.
        epoch = self._table.publish(routes, self.fold.newest_epoch)
        self._routes = routes
        log.info("routes_published", epoch=epoch, models=len(routes))

    def _carry_out(self, desk: Desk, effect: Effect) -> None:
        model = desk.state.model
        if isinstance(effect, Noted):
            self._note(effect.kind, model, effect.version, effect.text, effect.decision)
        elif isinstance(effect, Ended):
            self._end(desk, effect)
        else:
            self.writer.add(model, effect, since=self._now_text())

    def _end(self, desk: Desk, ended: Ended) -> None:
        model = desk.state.model
        log.info("rollout_ended", model=model, **msgspec.to_builtins(ended))
        if ended.verdict != "promoted" and ended.version not in live_versions(desk):
            self.versions.forget(model, ended.version)  # its tag is looked at again before it is served again
        self._book.end(model, ended, self._wall_ns())
        self._news.ended(model, ended)
        self._explainer.explain(model, ended)

    def _save(self) -> None:
        self._ids.reserve()
        for name, desk in self.desks.items():
            rollout = desk.state.rollout
            if rollout is not None and rollout.live:
                self._book.begin(name, rollout, self._wall_ns(), partial(self._explainer.arrival, name, rollout))
        encoded = msgspec.json.encode(self._book)
        if encoded != self._saved:
            write_book(self._state_dir / BOOK_FILE, self._book)
            self._saved = encoded
            self._begun = {entry.rollout_id for entry in self._book.entries}

    def _note(self, kind: str, model: str, version: int | None, text: str, decision: int | None = None) -> None:
        fold = self.fold.model(model)
        event_ns = fold.last_event_ns if fold is not None and fold.last_event_ns else None
        self._news.note(kind, model, version, text, decision=decision, event_ns=event_ns)

    def _now_text(self) -> str:
        return datetime.fromtimestamp(self._wall_ns() / 1e9, UTC).isoformat(timespec="milliseconds")

    # --- what people see ------------------------------------------------------

    def _make_snapshot(self) -> Snapshot:
        self._snapshot_at = time.monotonic()
        if self.follower.reachable != self._was_reachable:
            self._was_reachable = self.follower.reachable
            kind = "mlflow_reached" if self._was_reachable else "mlflow_lost"
            self._note(kind, "", None, "MLflow answers" if self._was_reachable else "MLflow cannot be reached")
        now, status = self._wall_ns(), self._status
        models = []
        for name, desk in self.desks.items():
            models.append(
                model_snapshot(
                    desk,
                    self.fold.model(name),
                    self.versions.families(name),
                    self.versions.feature_set(name),
                    status,
                    self._instruments[name],
                    self.fold.instruments,
                )
            )
        served = [desk.state.champion in self.versions.ready(name) for name, desk in self.desks.items()]
        worker = worker_snapshot(WORKER, status, now, listening(self._state_dir)) if status else None
        return Snapshot(
            wall_ns=now,
            event_ns=status.last_event_ns or None if status else None,
            mlflow_uri=self._mlflow_uri,
            mlflow_reachable=self.follower.reachable,
            registry_poll_ms=round(self._poll_s * 1000),
            ready=bool(served) and all(served) and self._routes is not None and worker is not None and worker.alive,
            models=tuple(models),
            workers=(worker,) if worker else (),
            events=tuple(self._news.events),
            outcomes=self._outcomes(),
        )

    def pnl(self, by: Sequence[By]) -> list[Row]:
        """Return what was earned, taken apart by some columns; any thread."""
        with self.lock:
            return table_by(self._judging.ledger.book.cells.items(), by)

    def _outcomes(self) -> OutcomesSnapshot:
        book = self._judging.ledger.book
        if time.monotonic() > self._pnl_at:  # thousands of cells are added up
            self._pnl_at = time.monotonic() + PNL_S
            self._pnl = tuple(table_by(book.cells.items(), columns_of(DEFAULT_BY)))
        counts = {**self.intake.counts(), **book.counts()}
        return OutcomesSnapshot(counts=counts, pnl=self._pnl, reconciliation=tuple(book.readings()))
