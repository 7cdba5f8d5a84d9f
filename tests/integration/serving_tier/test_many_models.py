"""Three models with two shadows each on one worker; then a storm of alias moves by several hands at once."""

import random
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import zmq
from mlflow import MlflowClient
from mlflow.exceptions import RestException
from support.graphs import cautious
from support.live_tier import LiveTier

from benchmarks.versions import WIDTH, write_version
from data_contracts.errors import MissingDependencyError, UsageError
from registry.history import HISTORY_FILE, read_history
from registry.mlflow_registry import MlflowRegistry
from ringcraft.console_client import Console, command
from serving.console.snapshot import ModelSnapshot, Snapshot
from serving.doors.ports import read_ports

MOVES, SECONDS, HANDS = 100, 10.0, 4
LAST = {"challenger": 7, "champion": 8, "shadow": 9, "shadow-2": 10}
ALIASES = ("challenger", "shadow", "shadow-2")


@pytest.fixture(scope="module")
def uri(mlflow_uri: str) -> str:
    return mlflow_uri


@pytest.fixture(scope="module")
def models(uri: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Three registered models, ten versions each; the first is champion, two more are shadows."""
    registry, client = MlflowRegistry(uri, timeout_s=30), MlflowClient(uri, uri)
    names = tuple(f"storm-{i}-{time.time_ns()}" for i in range(3))
    for name in names:
        made = write_version(tmp_path_factory.mktemp("made") / "v", cautious, model=name, horizon_ns=1_000_000_000)
        registry.publish(name, made, tags={})
        first = client.get_model_version(name, "1")
        for _ in range(9):  # of the same files: what differs here is where the aliases point
            client.create_model_version(name, first.source, run_id=first.run_id, await_creation_for=0)
        for alias, version in (("champion", 1), ("shadow", 2), ("shadow-2", 3)):
            registry.move_alias(name, alias, version)
    return names


@pytest.fixture(scope="module")
def tier(uri: str, models: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveTier]:
    tier = LiveTier(
        tmp_path_factory.mktemp("tier"),
        uri,
        models,
        'doors = ["zeromq"]\nzeromq_port = 0\nzeromq_publish_port = 0\nin_flight_max = {zeromq = 2}\n',
    )
    snapshot = tier.until(lambda s: s.ready, "three champions")
    tier.start_feed(snapshot.workers[0].feed_port)
    yield tier
    assert tier.close() == 0


@pytest.mark.slow
def test_console_s_metrics_have_what_a_door_counts(tier: LiveTier, models: tuple[str, ...]) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.setsockopt(zmq.RCVTIMEO, 10_000)
        client.connect(f"tcp://127.0.0.1:{read_ports(tier.state, 'zeromq')['port']}")
        for model in (*models, "nobody"):
            client.send_json({"model": model, "rows": [[0.0] * WIDTH]})
            assert ("decision_ids" in client.recv_json()) == (model != "nobody")
    time.sleep(1.0)  # the door states its counters twice a second
    with urllib.request.urlopen(f"{tier.console()}/metrics", timeout=5) as reply:
        said = reply.read().decode().splitlines()
    assert {line for line in said if line.startswith("ringcraft_door_")} == {
        'ringcraft_door_open{door="zeromq"} 1.0',
        'ringcraft_door_requests_total{door="zeromq"} 4.0',
        'ringcraft_door_failed_total{door="zeromq"} 1.0',
        'ringcraft_door_missed_decisions_total{door="zeromq"} 0.0',
        *(
            f'ringcraft_door_refused_total{{door="zeromq",why="{why}"}} 0.0'
            for why in ("unauthenticated", "permission_denied", "rate", "in_flight")
        ),
    }


def shown(snapshot: Snapshot, model: str) -> ModelSnapshot:
    return next(one for one in snapshot.models if one.model == model)


def arms(model: ModelSnapshot) -> dict[int, str]:
    return {arm.version: arm.arm for arm in model.arms if arm.tier}


@pytest.mark.slow
def test_every_model_has_its_own_champion_and_both_its_shadows(tier: LiveTier, models: tuple[str, ...]) -> None:
    def scored(snapshot: Snapshot) -> bool:
        return all(
            arms(shown(snapshot, name)) == {1: "champion", 2: "shadow", 3: "shadow"}
            and all(arm.latency_p99_us for arm in shown(snapshot, name).arms)
            for name in models
        )

    tier.until(scored, "two shadows of each of three models to score")


@pytest.mark.slow
def test_aliases_moved_on_all_models_at_once_are_all_in_shadow(
    tier: LiveTier, models: tuple[str, ...], uri: str
) -> None:
    client = MlflowClient(uri, uri)
    for name in models:
        client.set_registered_model_alias(name, "challenger", "4")
    for name in models:
        client.set_registered_model_alias(name, "shadow-2", "5")

    def met(snapshot: Snapshot) -> bool:
        return all(
            arms(shown(snapshot, name)) == {1: "champion", 2: "shadow", 4: "challenger", 5: "shadow"} for name in models
        )

    tier.until(met, "a challenger and another shadow on all models")


@pytest.mark.slow
def test_a_hundred_moves_in_ten_seconds_end_where_the_aliases_say(
    tier: LiveTier, models: tuple[str, ...], uri: str
) -> None:
    begun = time.monotonic()
    with ThreadPoolExecutor(HANDS) as hands:
        done = list(hands.map(lambda hand: moves_of(hand, tier, uri, models, begun), range(HANDS)))
    assert sum(done) > 0
    client = MlflowClient(uri, uri)
    registry = MlflowRegistry(uri, timeout_s=30)
    for name in models:  # the last word, on versions that nobody has taken off and thereby barred
        for alias, version in LAST.items():
            client.set_registered_model_alias(name, alias, str(version))

    def met(snapshot: Snapshot) -> bool:
        return all(stands(shown(snapshot, name)) for name in models)

    tier.until(met, "the tier to stand where the aliases say", seconds=120.0)
    for name in models:
        assert registry.aliases(name) == LAST
        wait(lambda name=name: tagged(registry, name, "champion") == [8])
        wait(lambda name=name: tagged(registry, name, "shadow", "ab:50%") == [7])
        whole(tier.state / HISTORY_FILE, name, LAST)


def point(client: MlflowClient, model: str, alias: str, version: int) -> None:
    """Move an alias; again where MLflow tripped over somebody who moved it in the same instant."""
    for _ in range(9):
        with suppress(RestException):
            return client.set_registered_model_alias(model, alias, str(version))
    return client.set_registered_model_alias(model, alias, str(version))


def moves_of(hand: int, tier: LiveTier, uri: str, models: tuple[str, ...], begun: float) -> int:
    """Move aliases at this hand's share of the beat; return how many moves the tier made when asked to."""
    client, chance, asked = MlflowClient(uri, uri), random.Random(hand), 0
    for number in range(hand, MOVES, HANDS):
        time.sleep(max(0.0, begun + number * SECONDS / MOVES - time.monotonic()))
        asked += one_move(tier, client, chance, chance.choice(models))
    return asked


def one_move(tier: LiveTier, client: MlflowClient, chance: random.Random, model: str) -> int:
    """Move as a stranger's client does, or ask the tier to; return whether the tier did what it was asked."""
    kind = chance.random()
    if kind < 0.2:
        try:
            command(
                Console(tier.console()),
                model,
                chance.choice(("promote", "rollback")),
                dry_run=False,
                why="storm",
                who="t",
            )
        except (UsageError, MissingDependencyError):
            return 0  # refused, nothing to promote or to take off just then; or no answer in time, and nobody knows
        return 1
    if kind < 0.35:
        client.delete_registered_model_alias(model, chance.choice(ALIASES))
    elif kind < 0.45:
        point(client, model, "champion", chance.randint(1, 6))
    else:
        point(client, model, chance.choice(ALIASES), chance.randint(1, 6))
    return 0


def stands(model: ModelSnapshot) -> bool:
    rollout, loaded = model.rollout, arms(model)
    return (
        [version for version, arm in loaded.items() if arm == "champion"] == [LAST["champion"]]
        and rollout is not None
        and (rollout.version, rollout.verdict, rollout.kind) == (LAST["challenger"], "", "challenger")
        and rollout.state in ("shadow", "ab", "ready")
        and {LAST["shadow"], LAST["shadow-2"]} <= loaded.keys()
    )


def whole(path: Path, model: str, aliases: dict[str, int]) -> None:
    """Every change goes on where the one before it ended, and the last ones are what the aliases are now."""
    held: dict[str, int | None] = {}
    for entry in read_history(path):
        if entry.model == model and entry.seen != "gap":
            assert entry.before == held.get(entry.alias), entry
            assert entry.since_ns is not None or entry.seen == "made" or entry.gap, entry
            held[entry.alias] = entry.after
    assert {alias: version for alias, version in held.items() if version is not None} == aliases


def tagged(registry: MlflowRegistry, model: str, *statuses: str) -> list[int]:
    return [each.version for each in registry.versions(model) if each.tags.get("ringcraft.status") in statuses]


def wait(met: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end
        time.sleep(0.1)
