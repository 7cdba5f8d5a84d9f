"""Outcomes in SQLite or PostgreSQL, by one set of statements."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine, Row, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from data_contracts.errors import MissingDependencyError, OutcomeStoreUnavailableError, UsageError
from data_contracts.outcome import PostedOutcome, Status
from serving.outcomes.port import RULES, Answer, Kept, Rule

FILE: Final = "outcomes.sqlite"
_WAIT_S: Final = 3
_TABLES: Final = sa.MetaData()
_OUTCOMES: Final = sa.Table(
    "ringcraft_outcomes",
    _TABLES,
    # SQLite counts by itself only in a column of just this type.
    sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("outcome_id", sa.Text, nullable=False, unique=True),
    sa.Column("decision_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("pnl_bps", sa.Double),
    sa.Column("pnl_usd", sa.Double),
    sa.Column("price", sa.Text),
    sa.Column("lots", sa.BigInteger),
    sa.Column("side", sa.Text),
    sa.Column("fee_bps", sa.Double),
    sa.Column("time_ns", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("wall_ns", sa.BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
_IS_REALISED: Final = _OUTCOMES.c.kind == sa.literal_column("'realised'")
_ONE_REALISED: Final = sa.Index(
    "ringcraft_one_realised",
    _OUTCOMES.c.decision_id,
    unique=True,
    sqlite_where=_IS_REALISED,
    postgresql_where=_IS_REALISED,
)
_COUNTS: Final = sa.Table(
    "ringcraft_outcome_counts",
    _TABLES,
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
)
_FIELDS: Final = tuple(field.name for field in msgspec.structs.fields(PostedOutcome))


class SqlOutcomeStore:
    """An OutcomeStore in a database; nothing is opened before the first call, so that a tier starts without it."""

    def __init__(self, url: URL) -> None:
        """Take the address that outcome_url returned.

        Raises:
            MissingDependencyError: PostgreSQL is asked for and its driver is not installed.
        """
        self.name = url.render_as_string(hide_password=True)
        self._insert: Any = sqlite.insert if url.get_backend_name() == "sqlite" else postgresql.insert
        self._engine = _engine(url)
        self._made = False
        self._lock = threading.Lock()
        """Held while outcomes are added: numbers are then committed in the order in which they are given."""

    def add(self, outcomes: Sequence[PostedOutcome], statuses: Sequence[Status], wall_ns: int) -> list[Answer]:
        """See OutcomeStore."""
        if not outcomes:
            return []
        rows = [
            {**{name: getattr(outcome, name) for name in _FIELDS}, "status": status, "wall_ns": wall_ns}
            for outcome, status in zip(outcomes, statuses, strict=True)
        ]
        with self._lock, self._begin() as connection:
            insert = self._insert(_OUTCOMES).values(rows).on_conflict_do_nothing().returning(_OUTCOMES)
            new = {row.outcome_id: _kept(row) for row in connection.execute(insert)}
            known = self._known(connection, outcomes, new)
            answers = [_answer(outcome, new, known) for outcome in outcomes]
            self._count(connection, [answer.rule for answer in answers])
        return answers

    def after(self, sequence: int, limit: int = 10_000) -> list[Kept]:
        """See OutcomeStore."""
        return self._select(sa.select(_OUTCOMES).where(_OUTCOMES.c.sequence > sequence), limit)

    def of_decisions(self, first: int, last: int, *, after: int = 0, limit: int = 10_000) -> list[Kept]:
        """See OutcomeStore."""
        wanted = sa.and_(_OUTCOMES.c.decision_id.between(first, last), _OUTCOMES.c.sequence > after)
        return self._select(sa.select(_OUTCOMES).where(wanted), limit)

    def counts(self) -> dict[str, int]:
        """See OutcomeStore."""
        with self._begin() as connection:
            found = {row.rule: int(row[1]) for row in connection.execute(sa.select(_COUNTS))}
        return {rule: found.get(rule, 0) for rule in RULES}

    def close(self) -> None:
        """See OutcomeStore."""
        self._engine.dispose()

    def _known(
        self, connection: Connection, outcomes: Sequence[PostedOutcome], new: dict[str, Kept]
    ) -> dict[str | int, Kept]:
        """Return by outcome id, and by decision id for realised ones, what stood in the way of those not new."""
        ids = {outcome.outcome_id for outcome in outcomes if outcome.outcome_id not in new}
        decisions = {o.decision_id for o in outcomes if o.outcome_id not in new and o.kind == "realised"}
        if not ids:
            return {}
        realised = sa.and_(_OUTCOMES.c.decision_id.in_(decisions), _IS_REALISED)
        query = sa.select(_OUTCOMES).where(sa.or_(_OUTCOMES.c.outcome_id.in_(ids), realised))
        known: dict[str | int, Kept] = {}
        for kept in map(_kept, connection.execute(query)):
            known[kept.outcome.outcome_id] = kept
            if kept.outcome.kind == "realised":
                known[kept.outcome.decision_id] = kept
        return known

    def _count(self, connection: Connection, rules: Sequence[Rule]) -> None:
        rows = [{"rule": rule, "count": rules.count(rule)} for rule in RULES if rule in rules]
        insert = self._insert(_COUNTS).values(rows)
        added = {"count": _COUNTS.c["count"] + insert.excluded["count"]}
        connection.execute(insert.on_conflict_do_update(index_elements=[_COUNTS.c.rule], set_=added))

    def _select(self, query: sa.Select[Any], limit: int) -> list[Kept]:
        with self._begin() as connection:
            return [_kept(row) for row in connection.execute(query.order_by(_OUTCOMES.c.sequence).limit(limit))]

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        try:
            if not self._made:
                _TABLES.create_all(self._engine)
                self._made = True
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            reason = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()
            raise OutcomeStoreUnavailableError(
                f"{self.name}: {reason[0] if reason else type(error).__name__}"
            ) from None


def outcome_url(text: str, state_dir: Path) -> URL:
    """Return the address of the store: SQLite in the state folder where `text` is empty.

    Raises:
        UsageError: neither sqlite: nor postgresql:.
    """
    if not text:
        return URL.create("sqlite", database=str(state_dir / FILE))
    try:
        url = make_url(text)
    except SQLAlchemyError:
        raise UsageError("outcomes.url: expected sqlite:///FILE or postgresql://USER@HOST/DATABASE") from None
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "postgresql+psycopg"):
        raise UsageError(
            f"outcomes.url: expected sqlite:///FILE or postgresql://USER@HOST/DATABASE, got {url.drivername}:"
        )
    return url


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": _WAIT_S})
        sa.event.listen(engine, "connect", _durable_sqlite)
        return engine
    try:
        return sa.create_engine(
            url,
            pool_pre_ping=True,
            # A server set up for speed may acknowledge before the disk has it: here it may not.
            connect_args={
                "connect_timeout": _WAIT_S,
                "options": f"-c synchronous_commit=on -c statement_timeout={_WAIT_S}s",
            },
        )
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"outcomes.url: {error.name} is not installed: pip install 'ringcraft[postgres]'"
        ) from None


def _durable_sqlite(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")  # readers, for example a command, are not held up
    cursor.execute("PRAGMA synchronous=FULL")  # a commit that returns is on the disk
    cursor.close()


def _kept(row: Row[Any]) -> Kept:
    outcome = PostedOutcome(**{name: getattr(row, name) for name in _FIELDS})
    return Kept(sequence=row.sequence, wall_ns=row.wall_ns, status=row.status, outcome=outcome)


def _answer(outcome: PostedOutcome, new: dict[str, Kept], known: dict[str | int, Kept]) -> Answer:
    fresh = new.pop(outcome.outcome_id, None)
    if fresh is not None and fresh.outcome == outcome:
        known[outcome.outcome_id] = fresh  # the same list may name it again
        return Answer(rule="accepted", kept=fresh)
    stands = known.get(outcome.outcome_id) or known[outcome.decision_id]
    if stands.outcome == outcome:
        return Answer(rule="duplicate", kept=stands)
    return Answer(rule="contradictory", kept=stands, reason=_difference(stands.outcome, outcome))


def _difference(stands: PostedOutcome, came: PostedOutcome) -> str:
    if stands.outcome_id != came.outcome_id:
        return f"decision_id: expected one realised outcome, got {came.outcome_id!r} beside {stands.outcome_id!r}"
    for name in _FIELDS:
        before, after = getattr(stands, name), getattr(came, name)
        if before != after:
            return f"{name}: expected {before!r} as posted first, got {after!r}"
    raise AssertionError("equal outcomes do not contradict")
