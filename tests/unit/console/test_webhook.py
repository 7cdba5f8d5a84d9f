import json
from collections.abc import Iterator

import httpx
import pytest
from console_sample import snapshot

from serving.console.app import console_app
from serving.console.server import ConsoleServer
from serving.console.webhook import (
    BODY_LIMIT,
    ID,
    PATH,
    SIGNATURE,
    TIMESTAMP,
    DeliveryCheck,
    DeliveryError,
    webhook_routes,
)
from serving.signature import signature_of

SECRET = "a secret that both sides know"
BODY = b'{"entity": "model_version_alias", "action": "created"}'
NOW = 1_800_000_000.0


class Nobody:
    """Commands that no test here gives."""

    promote = rollback = pause = resume = staticmethod(lambda *_, **__: pytest.fail("commanded"))


def headers(delivery: str = "d-1", stamp: str = "1800000000", body: bytes = BODY, secret: str = SECRET) -> dict:
    return {ID: delivery, TIMESTAMP: stamp, SIGNATURE: signature_of(secret.encode(), delivery, stamp, body)}


def check(now: float = NOW) -> DeliveryCheck:
    return DeliveryCheck(SECRET, lambda: now)


def refused(checker: DeliveryCheck, head: dict, body: bytes = BODY) -> tuple[int, str]:
    with pytest.raises(DeliveryError) as error:
        checker.check(head, body)
    return error.value.status, str(error.value)


def test_signature_is_the_one_mlflow_makes() -> None:
    from mlflow.webhooks.delivery import _generate_hmac_signature

    assert signature_of(SECRET.encode(), "d-1", "1800000000", BODY) == _generate_hmac_signature(
        SECRET, "d-1", "1800000000", BODY.decode()
    )


def test_signed_delivery_is_taken_once() -> None:
    checker = check()
    assert checker.check(headers(), BODY) == "d-1"
    assert refused(checker, headers()) == (401, f"{ID}: expected one that is new, got 'd-1' again")
    assert checker.check(headers("d-2"), BODY) == "d-2"


def test_one_of_several_signatures_suffices() -> None:
    head = headers()
    head[SIGNATURE] = f"v1,AAAA {head[SIGNATURE]}"
    assert check().check(head, BODY) == "d-1"


@pytest.mark.parametrize(
    "head",
    [
        headers(secret="another"),
        headers() | {ID: "d-2"},
        headers() | {TIMESTAMP: "1800000001"},
        headers() | {SIGNATURE: "v1,"},
        headers() | {SIGNATURE: headers()[SIGNATURE].removeprefix("v1,")},
        headers() | {SIGNATURE: "v1,é"},
    ],
)
def test_forged_is_refused(head: dict) -> None:
    assert refused(check(), head)[0] == 401


def test_changed_body_is_refused() -> None:
    assert refused(check(), headers(), BODY + b" ")[0] == 401


@pytest.mark.parametrize("missing", [ID, TIMESTAMP, SIGNATURE])
def test_missing_header_is_named(missing: str) -> None:
    head = {name: value for name, value in headers().items() if name != missing}
    assert refused(check(), head) == (400, f"{missing}: expected a value, got none")


@pytest.mark.parametrize("stamp", ["soon", "-1", "1e9", "nan", "1" * 400, "²"])
def test_time_must_be_a_number(stamp: str) -> None:
    assert refused(check(), headers(stamp=stamp))[0] == 400


@pytest.mark.parametrize("late", [301.0, -301.0])
def test_stale_is_refused_whatever_its_signature(late: float) -> None:
    assert refused(check(NOW + late), headers())[0] == 401
    assert check(NOW + late - (1 if late > 0 else -1)).check(headers(), BODY) == "d-1"


def test_an_id_is_remembered_for_as_long_as_its_time_would_pass() -> None:
    now = [NOW - 299.0]
    checker = DeliveryCheck(SECRET, lambda: now[0])
    checker.check(headers(), BODY)
    now[0] = NOW + 300.0
    assert "again" in refused(checker, headers())[1]
    now[0] = NOW + 302.0
    assert "within" in refused(checker, headers())[1]
    checker.check(headers("d-3", str(int(now[0]))), BODY)
    assert list(checker._seen) == ["d-3"]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[list[int], httpx.Client]]:
    woken: list[int] = []
    app = console_app(snapshot, Nobody(), routes=webhook_routes(SECRET, lambda: woken.append(1)))
    with ConsoleServer(app) as server, httpx.Client(base_url=server.url) as client:
        yield woken, client


def test_over_http_only_what_is_signed_wakes(served: tuple[list[int], httpx.Client]) -> None:
    import time

    woken, client = served
    stamp = str(int(time.time()))
    assert client.post(PATH, content=BODY, headers=headers("h-1", stamp)).status_code == 202
    assert len(woken) == 1
    for head, status in (
        (headers("h-1", stamp), 401),
        (headers("h-2", stamp, secret="x"), 401),
        (headers("h-3", str(int(stamp) - 400)), 401),
        ({}, 400),
    ):
        answer = client.post(PATH, content=BODY, headers=head)
        assert answer.status_code == status
        assert answer.json()["error"]
    assert client.post(PATH, content=b"x" * (BODY_LIMIT + 1), headers=headers("h-4", stamp)).status_code == 413
    assert client.get(PATH).status_code == 405
    assert len(woken) == 1


def test_without_a_secret_nothing_is_taken() -> None:
    app = console_app(snapshot, Nobody(), routes=webhook_routes("", lambda: pytest.fail("woken")))
    with ConsoleServer(app) as server:
        answer = httpx.post(f"{server.url}{PATH}", content=BODY, headers=headers(secret=""))
    assert answer.status_code == 404
    assert "RINGCRAFT_WEBHOOK_SECRET" in json.dumps(answer.json())
