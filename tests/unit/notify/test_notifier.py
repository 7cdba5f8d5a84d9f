"""Notices against real receivers: an HTTP server that comes and goes, programs that fail or hang."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ringcraft.ports import free_port
from serving.notify.channels import Channel, CommandChannel, WebhookChannel
from serving.notify.notifier import Notifier
from serving.signature import signature_of

SECRET = "between us"


class Receiver:
    """An HTTP server that can be started late and says what it is told to say."""

    def __init__(self) -> None:
        self.port, self.answer, self.got = free_port(), 204, []
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append((dict(self.headers), body))
                self.send_response(receiver.answer)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def ids(self) -> list[str]:
        return [json.loads(body)["id"] for _, body in self.got]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.notify.notifier._FIRST_S", 0.02)
    monkeypatch.setattr("serving.notify.notifier._LONGEST_S", 0.05)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


def notice(number: int) -> dict[str, object]:
    return {"id": f"n-{number}", "event": "ringcraft.rollout.rolled_back", "model": "tilt", "occurred": "then"}


def notifier(path: Path, *channels: Channel, queue_max: int = 100) -> Notifier:
    made = Notifier(path / "notices.jsonl", channels, queue_max=queue_max)
    made.start()
    return made


def wait(met: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_webhook_gets_a_signed_post(tmp_path: Path, receiver: Receiver) -> None:
    receiver.start()
    made = notifier(tmp_path, WebhookChannel(receiver.url, secret=SECRET))
    made.tell(notice(1))
    wait(lambda: not made.waiting)
    made.stop()
    headers, body = receiver.got[0]
    stamp = headers["X-Ringcraft-Timestamp"]
    assert headers["X-Ringcraft-Signature"] == signature_of(SECRET.encode(), "n-1", stamp, body)
    assert abs(time.time() - int(stamp)) < 60
    assert (headers["X-Ringcraft-Delivery-Id"], headers["Content-Type"]) == ("n-1", "application/json")
    assert json.loads(body) == notice(1)


def test_a_receiver_that_is_away_gets_everything_in_order_once_it_is_back(tmp_path: Path, receiver: Receiver) -> None:
    made = notifier(tmp_path, WebhookChannel(receiver.url))
    begun = time.monotonic()
    for number in range(5):
        made.tell(notice(number))
    assert time.monotonic() - begun < 1.0  # the caller does not wait for anybody
    time.sleep(0.2)
    assert made.waiting == 5
    made.stop()
    made = notifier(tmp_path, WebhookChannel(receiver.url))  # a restart in between
    assert made.waiting == 5
    receiver.answer = 503
    receiver.start()
    wait(lambda: len(receiver.got) > 2)
    assert set(receiver.ids()) == {"n-0"}
    receiver.answer = 200
    seen = len(receiver.got)
    wait(lambda: not made.waiting)
    made.stop()
    assert list(dict.fromkeys(receiver.ids()[seen - 1 :])) == [f"n-{number}" for number in range(5)]
    assert made.given_up == 0
    assert Notifier(tmp_path / "notices.jsonl", [WebhookChannel(receiver.url)]).waiting == 0


def test_queue_is_bounded_and_says_what_it_gives_up(tmp_path: Path, receiver: Receiver) -> None:
    made = notifier(tmp_path, WebhookChannel(receiver.url), queue_max=3)
    for number in range(10):
        made.tell(notice(number))
    assert (made.waiting, made.given_up) == (3, 7)
    receiver.start()
    wait(lambda: not made.waiting)
    made.stop()
    assert [one for one in receiver.ids() if one in ("n-7", "n-8", "n-9")] == ["n-7", "n-8", "n-9"]


def test_a_refused_notice_does_not_hold_up_the_next(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = 422
    receiver.start()
    made = notifier(tmp_path, WebhookChannel(receiver.url))
    made.tell(notice(1))
    wait(lambda: not made.waiting)
    assert (made.given_up, receiver.ids()) == (1, ["n-1"])
    receiver.answer = 200
    made.tell(notice(2))
    wait(lambda: not made.waiting)
    made.stop()
    assert receiver.ids() == ["n-1", "n-2"]


def script(path: Path, text: str) -> tuple[str, ...]:
    file = path / f"program-{time.monotonic_ns()}.py"
    file.write_text(text)
    return sys.executable, "-S", "-E", str(file)


def test_a_channel_that_is_away_holds_up_no_other(tmp_path: Path, receiver: Receiver) -> None:
    out = tmp_path / "out.jsonl"
    program = script(tmp_path, f"import sys; open({str(out)!r}, 'a').write(sys.stdin.read())")
    made = notifier(tmp_path, WebhookChannel(receiver.url), CommandChannel(program))
    for number in range(3):
        made.tell(notice(number))
    wait(lambda: out.exists() and len(out.read_text().splitlines()) == 3)
    assert [json.loads(line) for line in out.read_text().splitlines()] == [notice(number) for number in range(3)]
    assert made.waiting == 3
    wait(lambda: all(one.channels == {"webhook"} for one in made._waiting))
    made.stop()
    made = notifier(tmp_path, WebhookChannel(receiver.url), CommandChannel(program))
    receiver.start()
    wait(lambda: not made.waiting)
    made.stop()
    assert len(out.read_text().splitlines()) == 3  # what was told is not told again


def test_a_command_that_hangs_is_killed_with_all_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "pids"
    hang = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-S', '-E', '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(mark)!r}, 'a').write(f'{{os.getpid()}} {{child.pid}}\\n')\n"
        "time.sleep(60)\n"
    )
    channel = CommandChannel(script(tmp_path, hang), timeout_s=1.5)
    channel.attempts_max = 1
    made = notifier(tmp_path, channel)
    made.tell(notice(1))
    wait(lambda: not made.waiting)
    made.stop()
    assert made.given_up == 1
    for pid in mark.read_text().split():
        wait(lambda pid=pid: not _runs(int(pid)))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_command_that_fails_is_tried_again_and_given_up_in_the_end(tmp_path: Path) -> None:
    count = tmp_path / "count"
    program = script(tmp_path, f"import sys; open({str(count)!r}, 'a').write('x'); sys.exit('no')")
    channel = CommandChannel(program)
    made = notifier(tmp_path, channel)
    made.tell(notice(1))
    wait(lambda: not made.waiting)
    made.stop()
    assert (count.read_text(), made.given_up) == ("x" * 8, 1)


def test_a_program_that_is_not_there_is_given_up_at_once(tmp_path: Path) -> None:
    made = notifier(tmp_path, CommandChannel((str(tmp_path / "missing"),)))
    made.tell(notice(1))
    wait(lambda: not made.waiting)
    made.stop()
    assert made.given_up == 1


def test_without_a_channel_nothing_is_kept(tmp_path: Path) -> None:
    made = notifier(tmp_path)
    made.tell(notice(1))
    made.stop()
    assert made.waiting == 0
    assert not (tmp_path / "notices.jsonl").exists()
