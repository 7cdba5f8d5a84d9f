import asyncio
import json
from collections.abc import Iterator

import httpx
import msgspec
import pytest
from console_sample import arm, model, snapshot
from prometheus_client.parser import text_string_to_metric_families
from starlette.responses import JSONResponse
from starlette.routing import Route

from data_contracts.errors import RegistryUnavailableError
from serving.console.app import changes, console_app
from serving.console.commands import CommandResult
from serving.console.server import ConsoleServer
from serving.console.snapshot import Snapshot


class Tier:
    """A tier that keeps what it was asked and answers what it was told to."""

    def __init__(self) -> None:
        self.now = snapshot()
        self.asked: list[tuple[object, ...]] = []
        self.answer: CommandResult | Exception = CommandResult(done=True, text="v7 is champion from epoch 13")

    def _ask(self, name: str, model: str, dry_run: bool, why: str, who: str) -> CommandResult:
        self.asked.append((name, model, dry_run, why, who))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def promote(self, model: str, *, dry_run: bool, why: str, who: str) -> CommandResult:
        return self._ask("promote", model, dry_run, why, who)

    def rollback(self, model: str, *, dry_run: bool, why: str, who: str) -> CommandResult:
        return self._ask("rollback", model, dry_run, why, who)

    def pause(self, model: str, *, dry_run: bool, why: str, who: str) -> CommandResult:
        return self._ask("pause", model, dry_run, why, who)

    def resume(self, model: str, *, dry_run: bool, why: str, who: str) -> CommandResult:
        return self._ask("resume", model, dry_run, why, who)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Tier, httpx.Client]]:
    tier = Tier()
    app = console_app(lambda: tier.now, tier)
    with ConsoleServer(app) as server, httpx.Client(base_url=server.url) as client:
        yield tier, client


@pytest.fixture
def tier(served: tuple[Tier, httpx.Client]) -> Tier:
    served[0].__init__()  # type: ignore[misc]
    return served[0]


@pytest.fixture
def client(served: tuple[Tier, httpx.Client], tier: Tier) -> httpx.Client:
    return served[1]


def test_snapshot_is_the_whole_document(client: httpx.Client, tier: Tier) -> None:
    answer = client.get("/api/snapshot")
    assert msgspec.json.decode(answer.content, type=Snapshot) == tier.now
    assert answer.headers["cache-control"] == "no-store"


def test_page_and_its_parts_are_served_and_kept_to_this_origin(client: httpx.Client) -> None:
    page = client.get("/")
    assert "Ringcraft" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    script = client.get("/static/console.js")
    assert "javascript" in script.headers["content-type"]
    assert "http://" not in page.text.replace("http://www.w3.org", "")


def test_ready_is_503_until_the_tier_is(client: httpx.Client, tier: Tier) -> None:
    assert (client.get("/health/ready").status_code, client.get("/health/ready").json()) == (200, {"ready": True})
    tier.now = snapshot(ready=False)
    assert (client.get("/health/ready").status_code, client.get("/health/ready").json()) == (503, {"ready": False})
    assert client.get("/health/live").json() == {"live": True}


@pytest.mark.parametrize("action", ["promote", "rollback", "pause", "resume"])
def test_command_reaches_the_tier_with_its_reason(client: httpx.Client, tier: Tier, action: str) -> None:
    answer = client.post(f"/api/models/if-tilt/{action}", json={"dry_run": True, "why": "news at ten", "who": "ana"})
    assert (answer.status_code, answer.json()) == (200, {"done": True, "text": "v7 is champion from epoch 13"})
    assert tier.asked == [(action, "if-tilt", True, "news at ten", "ana")]


def test_refused_command_is_409_and_says_why(client: httpx.Client, tier: Tier) -> None:
    tier.answer = CommandResult(done=False, text="no challenger is ready")
    answer = client.post("/api/models/if-tilt/promote", json={"why": "now"})
    assert (answer.status_code, answer.json()["error"]) == (409, "no challenger is ready")


def test_command_that_needs_an_absent_registry_is_409(client: httpx.Client, tier: Tier) -> None:
    tier.answer = RegistryUnavailableError("MLflow at http://m: no answer")
    answer = client.post("/api/models/if-tilt/promote", json={"why": "now"})
    assert (answer.status_code, answer.json()) == (409, {"error": "MLflow at http://m: no answer"})


def test_unknown_model_or_action_is_404(client: httpx.Client, tier: Tier) -> None:
    answer = client.post("/api/models/nobody/promote", json={"why": "now"})
    assert (answer.status_code, answer.json()) == (404, {"error": "model: expected one that is followed, got 'nobody'"})
    assert client.post("/api/models/if-tilt/explode", json={"why": "now"}).status_code == 404
    assert tier.asked == []


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ('{"dry_run": 1, "why": "x"}', "dry_run: expected bool, got int"),
        ('{"dry_run": true}', "why: expected a value, got none"),
        ('{"why": ""}', 'why: expected str of length >= 1, got ""'),
        ('{"why": "x", "force": true}', "force: expected no such field, got one"),
        ("[]", "body: expected object, got array"),
        ("", "body: expected JSON, got: Input data was truncated"),
    ],
)
def test_bad_body_is_400_and_names_the_field(client: httpx.Client, tier: Tier, body: str, error: str) -> None:
    answer = client.post("/api/models/if-tilt/pause", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (400, {"error": error})
    assert tier.asked == []


def test_oversized_body_is_413(client: httpx.Client, tier: Tier) -> None:
    answer = client.post("/api/models/if-tilt/pause", json={"why": "x" * 100_000})
    assert answer.status_code == 413


def test_form_of_a_page_elsewhere_cannot_press_a_button(client: httpx.Client, tier: Tier) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", None):
        headers = {"content-type": kind} if kind else {}
        answer = client.post("/api/models/if-tilt/promote", content='{"why": "x"}', headers=headers)
        assert answer.status_code == 415
    answer = client.post("/api/models/if-tilt/promote", json={"why": "x"}, headers={"origin": "http://elsewhere"})
    assert (answer.status_code, tier.asked) == (403, [])


def test_own_origin_may_press_a_button(client: httpx.Client, tier: Tier) -> None:
    answer = client.post(
        "/api/models/if-tilt/promote", json={"why": "x"}, headers={"origin": str(client.base_url).rstrip("/")}
    )
    assert answer.status_code == 200


def test_host_name_pointed_here_by_a_stranger_is_refused(client: httpx.Client) -> None:
    answer = client.get("/api/snapshot", headers={"host": "rebound.example:8090"})
    assert (answer.status_code, "host: expected" in answer.json()["error"]) == (400, True)


def test_wrong_method_and_unknown_path_answer_in_json(client: httpx.Client) -> None:
    assert client.get("/api/models/if-tilt/promote").json() == {"error": "Method Not Allowed"}
    assert client.get("/nowhere").json() == {"error": "Not Found"}


def test_further_routes_are_served_beside_the_console(tier: Tier) -> None:
    route = Route("/v1/outcomes", lambda _: JSONResponse({"taken": 1}), methods=["POST"])
    with ConsoleServer(console_app(lambda: tier.now, tier, routes=[route])) as server:
        assert httpx.post(f"{server.url}/v1/outcomes").json() == {"taken": 1}


def test_metrics_carry_what_the_snapshot_says(client: httpx.Client, tier: Tier) -> None:
    tier.now = snapshot(models=(model(arms=(arm("champion", 5, share=0.9, decisions=7, pnl_bps=-1.5),)),))
    families = {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}
    values = {name: [(s.labels, s.value) for s in family.samples] for name, family in families.items()}
    champion = {"model": "if-tilt", "arm": "champion", "version": "5"}
    assert values["ringcraft_decisions"] == [(champion, 7.0)]
    assert values["ringcraft_pnl_bps"] == [(champion, -1.5)]
    assert values["ringcraft_share"] == [(champion, 0.9)]
    assert ({**champion, "quantile": "0.99"}, 11.3) in values["ringcraft_latency_us"]
    assert ({**champion, "tier": "onnxruntime"}, 1) in values["ringcraft_engine"]
    assert ({"model": "if-tilt", "guardrail": "pnl"}, 0.78) in values["ringcraft_guardrail_evidence"]
    assert values["ringcraft_rollout_state"][0][0]["state"] == "ab"
    assert values["ringcraft_worker_shadows_dropped"] == [({"worker": "worker-0"}, 3.0)]
    assert values["ringcraft_mlflow_reachable"] == [({}, 1.0)]
    assert families["ringcraft_decisions"].type == "counter"


def test_metrics_tell_alarms_and_divergence(client: httpx.Client, tier: Tier) -> None:
    def of(*labels: str) -> frozenset[str]:
        return frozenset(labels)

    tier.now = snapshot()
    families = text_string_to_metric_families(client.get("/metrics").text)
    values = {family.name: {frozenset(s.labels.values()): s.value for s in family.samples} for family in families}
    assert values["ringcraft_alarm"][of("if-tilt", "7", "drift")] == 1.0
    assert values["ringcraft_alarm"][of("if-tilt", "7", "share")] == 0.0
    assert not [labels for labels in values["ringcraft_alarm"] if "eurusd-mlp" in labels], "its rollout has ended"
    assert values["ringcraft_watch_value"][of("if-tilt", "7", "share")] == 0.1015
    assert values["ringcraft_watch_limit"][of("if-tilt", "7", "share")] == 0.1
    assert of("if-tilt", "7", "calibration") not in values["ringcraft_watch_value"]
    assert values["ringcraft_divergence_mean"][of("if-tilt", "7", "5", "all")] == 0.214
    assert values["ringcraft_divergence_decisions"][of("if-tilt", "7", "5", "CFFEX:IH2106")] == 408
    assert of("if-tilt", "6", "5", "all") not in values["ringcraft_divergence_mean"]
    assert values["ringcraft_divergence_disagreement"][of("if-tilt", "6", "5", "all")] == 0.31


def test_stream_sends_changes_and_stays_silent_between_them() -> None:
    seen = iter([snapshot(), snapshot(wall_ns=1), snapshot(wall_ns=2, ready=False), snapshot(wall_ns=3, ready=False)])

    async def collect() -> list[bytes]:
        sent = []
        try:
            async for message in changes(lambda: next(seen), period_s=0):
                sent.append(message)
        except RuntimeError:  # the sample is used up
            pass
        return sent

    sent = asyncio.run(collect())
    assert [json.loads(message.removeprefix(b"data: "))["ready"] for message in sent[1:]] == [True, False]


def test_stream_without_changes_shows_that_it_lives() -> None:
    async def first_four() -> list[bytes]:
        stream = changes(snapshot, period_s=0)
        return [await anext(stream) for _ in range(4)]

    assert asyncio.run(first_four())[2:] == [b": still here\n\n"] * 2
