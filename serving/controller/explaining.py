"""Keeps the evidence behind an end beside the version, and anew once it is known how soon routing left it."""

from collections.abc import Callable, Iterable

from registry.history import History
from serving.controller.book import Arrival, Book
from serving.controller.evidence import evidence_document, evidence_files
from serving.controller.judging import Judging
from serving.controller.versions import Versions
from serving.controller.writer import Evidence, Writer
from serving.rollout.desk import Desk
from serving.rollout.desk_state import CHALLENGER, Rollout
from serving.rollout.effects import Ended
from serving.rollout.rollout_fold import RolloutFold


class Explainer:
    """From a rollout's end, its fold and its beginnings to files that the writer brings to the registry."""

    def __init__(
        self,
        book: Book,
        judging: Judging,
        writer: Writer,
        history: History,
        versions: Versions,
        now_text: Callable[[], str],
    ) -> None:
        """Take what knows of the rollout, and our clock as text."""
        self._book, self._judging, self._writer = book, judging, writer
        self._history, self._versions, self._now_text = history, versions, now_text

    def explain(self, model: str, ended: Ended) -> None:
        """Have the evidence behind an end kept."""
        judged = self._judged(model, ended)
        if judged is None:
            return  # no decision of it was ever routed: there is nothing to show
        policy, entry = self._judging.policy_of(ended.rollout_id), self._book.entry(ended.rollout_id)
        arrival = entry.arrival if entry is not None else None
        known = judged.reaction is None or judged.reaction.took_us is not None
        self._book.tell_reaction(ended.rollout_id, told=known)
        files = evidence_files(evidence_document(ended, model, policy, judged, self._judging.fold.records, arrival))
        for name, content in files.items():  # the page last: it is what the version's tag names
            evidence = Evidence(version=ended.version, name=name, content=content, tagged=name == list(files)[-1])
            self._writer.add(model, evidence, since=self._now_text())

    def complete(self, desks: Iterable[Desk]) -> None:
        """Have the evidence of the last ends kept anew where the worker has shown meanwhile how soon it left them."""
        for desk in desks:
            model, last = desk.state.model, desk.state.last
            entry = self._book.entry(last.rollout_id) if last is not None and last.rollout_id else None
            if entry is None or entry.ended is None or entry.told_reaction:
                continue
            judged = self._judged(model, entry.ended)
            if judged is not None and judged.reaction is not None and judged.reaction.took_us is not None:
                self.explain(model, entry.ended)

    def arrival(self, model: str, rollout: Rollout) -> Arrival | None:
        """Return how a challenger came to be judged; None of a bake, whose version was there already."""
        if rollout.kind != "challenger":
            return None
        move = self._history.last_move_to(model, CHALLENGER, rollout.version)
        verified_ns, warmed_ns = self._versions.times(model, rollout.version)
        return Arrival(
            alias_not_before_ns=move.since_ns if move is not None else None,
            alias_seen_ns=move.wall_ns if move is not None else None,
            verified_ns=verified_ns,
            warmed_ns=warmed_ns,
        )

    def _judged(self, model: str, ended: Ended) -> RolloutFold | None:
        fold = self._judging.fold.model(model)
        return fold.rollouts.get(ended.rollout_id) if fold is not None and ended.rollout_id else None
