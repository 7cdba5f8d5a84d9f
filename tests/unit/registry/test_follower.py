"""What the history says of polls: changes with the time between two looks, and every time nobody looked."""

from pathlib import Path

from registry.history import History
from registry.looks import LastLook
from registry.memory import MemoryRegistry
from serving.controller.follower import LOOK_FILE, Follower

A, B = "a", "b"


class Watch:
    """A follower of two models whose clock ticks with every look."""

    def __init__(self, tmp_path: Path) -> None:
        self.path, self.registry, self.now = tmp_path, MemoryRegistry(), 100
        made = tmp_path / "made"
        made.mkdir()
        (made / "model.onnx").write_bytes(b"graph")
        for model in (A, B):
            for _ in range(3):
                self.registry.publish(model, made, tags={})
            self.registry.move_alias(model, "champion", 1)
        self.begin()

    def begin(self) -> None:
        self.history = History(self.path / "history.jsonl")
        look = LastLook(self.path / LOOK_FILE)
        self.follower = Follower(
            self.registry, [A, B], self.history, period_s=1.0, last_look=look, wall_ns=lambda: self.now
        )

    def poll(self, at: int) -> None:
        self.now = at
        self.follower.poll()

    def told(self, model: str = A) -> list[tuple]:
        return [
            (e.seen, e.alias, e.before, e.after, e.since_ns, e.wall_ns, e.gap)
            for e in self.history.entries
            if e.model == model
        ]


def test_a_change_came_between_two_looks(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    watch.poll(100)
    watch.poll(200)
    watch.registry.move_alias(A, "champion", 2)
    watch.poll(300)
    assert watch.told() == [
        ("polled", "champion", None, 1, None, 100, True),
        ("polled", "champion", 1, 2, 200, 300, False),
    ]
    assert len(watch.told(B)) == 1


def test_while_the_registry_is_away_a_gap_is_kept_even_where_nothing_changed(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    watch.poll(100)
    watch.registry.reachable = False
    watch.poll(200)
    watch.poll(300)
    watch.registry.reachable = True
    watch.registry.move_alias(A, "champion", 3)
    watch.poll(400)
    watch.poll(500)
    assert watch.told()[1:] == [
        ("gap", "", None, None, 100, 400, False),
        ("polled", "champion", 1, 3, 100, 400, True),
    ]
    assert watch.told(B)[1:] == [("gap", "", None, None, 100, 400, False)]
    assert {e.why for e in watch.history.entries if e.seen == "gap"} == {"MLflow did not answer"}


def test_while_nobody_ran_a_gap_is_kept_from_the_last_look_on(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    for at in (100, 200, 300):
        watch.poll(at)
    watch.begin()  # as after a kill: nothing was told
    watch.registry.move_alias(B, "champion", 2)
    watch.poll(900)
    watch.poll(1000)
    assert watch.told()[1:] == [("gap", "", None, None, 300, 900, False)]
    assert watch.told(B)[1:] == [
        ("gap", "", None, None, 300, 900, False),
        ("polled", "champion", 1, 2, 300, 900, True),
    ]
    assert watch.history.entries[-1].why == ""
    assert watch.history.entries[2].why == "the controller was not running"


def test_a_restart_while_the_registry_is_away_is_one_gap(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    watch.poll(100)
    watch.registry.reachable = False
    watch.poll(200)
    watch.begin()
    watch.poll(300)
    watch.registry.reachable = True
    watch.poll(400)
    assert watch.told()[1:] == [("gap", "", None, None, 100, 400, False)]


def test_tags_of_the_model_come_with_the_aliases(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    assert watch.follower.tags(A) == {}
    watch.registry.set_model_tags(A, {"ringcraft.policy.rollout.on_success": "wait"})
    watch.poll(100)
    assert watch.follower.tags(A) == {"ringcraft.policy.rollout.on_success": "wait"}
    with watch.follower.lock:
        watch.follower.moved(A, "champion", None)
    assert watch.follower.aliases(A) == {}
    assert watch.follower.tags(A) == {"ringcraft.policy.rollout.on_success": "wait"}


def test_a_model_that_the_registry_forgets_keeps_its_aliases_until_it_is_known_again(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    watch.poll(100)
    kept = watch.registry._models.pop(A)
    watch.poll(200)
    watch.poll(300)
    assert watch.follower.aliases(A) == {"champion": 1}
    watch.registry._models[A] = kept
    watch.registry.move_alias(B, "champion", 2)
    watch.poll(400)
    assert watch.told()[1:] == [("gap", "", None, None, 100, 400, False)]
    assert watch.told(B)[-1] == ("polled", "champion", 1, 2, 300, 400, False)
    assert "did not know" in watch.history.entries[-2].why


def test_a_model_that_was_never_known_has_no_aliases(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    del watch.registry._models[A]
    watch.poll(100)
    assert watch.follower.aliases(A) == {}
    assert watch.told() == []
