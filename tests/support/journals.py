"""Synthetic journals, record by record, as a worker would write them."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_contracts.journal import DTYPES, RECORD_BYTES, Arm, Phase, RecordType
from native._native import crc32c

MS = 1_000_000
HORIZON_NS = 1_000 * MS
SPACING_NS = 200 * MS
BAKING = (Phase.BAKE, Phase.BAKE_PAUSED)


class JournalWriter:
    """Collects records; `append_to` writes them as a worker does."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.written = 0
        self.name(0, "m")

    def add(self, record: RecordType, /, **fields: object) -> None:
        row = np.zeros((), DTYPES[record])
        for name, value in {"type": int(record), "index": len(self.records), **fields}.items():
            row[name] = value
        self.records.append(row.tobytes())

    def name(self, index: int, text: str) -> None:
        self.add(RecordType.NAME, kind=0, name_index=index)
        self.records[-1] = self.records[-1][:24] + text.encode().ljust(104, b"\0")

    def bytes(self) -> bytes:
        return b"".join(self.records)

    def append_to(self, folder: Path) -> None:
        """Append what was not yet written to the folder's one segment, sealed as a worker seals it."""
        path = folder / "00000001.rcj"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            header = struct.pack("<8sIIQ36x", b"RCJOURN1", 1, RECORD_BYTES, 0)
            path.write_bytes(header + struct.pack("<I", crc32c(header)))
        fresh, self.written = self.records[self.written :], len(self.records)
        with path.open("ab") as file:
            file.write(b"".join(struct.pack("<I", crc32c(record[4:])) + record[4:] for record in fresh))


@dataclass
class Answer:
    """What one version does at one decision."""

    action: int = 0
    latency_ns: int = 20_000
    abstain: int = 0
    dropped: bool = False


@dataclass
class World:
    """Everything random about one decision; PnL in bps of buying and of selling."""

    champion: Answer
    challenger: Answer
    buy: float
    sell: float


@dataclass
class SyntheticWorker:
    """Routes decisions as a worker does and journals them; mark-outs come one horizon later."""

    draw: Callable[[np.random.Generator, int], World]
    seed: int = 1
    writer: JournalWriter = field(default_factory=JournalWriter)
    epoch: int = 0
    route: dict[str, int] = field(default_factory=dict)
    decision_id: int = 0
    event_ns: int = 1_700_000_000_000_000_000
    due: list[tuple[int, int, int, float, float]] = field(default_factory=list)
    horizon_ns: int = HORIZON_NS
    """As its epochs say it; 0: they do not."""

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def adopt(self, **route: int) -> None:
        """Take a route: rollout_id, champion, challenger, share_bps, phase, step."""
        self.epoch += 1
        self.route = {"rollout_id": 0, "champion": 1, "challenger": 0, "share_bps": 0, "phase": 0, "step": 0, **route}
        self.writer.add(
            RecordType.EPOCH,
            epoch=self.epoch,
            model=0,
            next_decision_id=self.decision_id + 1,
            horizon_ns=self.horizon_ns,
            **self.route,
        )

    def decide(self, count: int = 1) -> None:
        for _ in range(count):
            self.event_ns += SPACING_NS
            self.resolve(self.event_ns)
            self._decide()

    def resolve(self, until_ns: int) -> None:
        while self.due and self.due[0][0] < until_ns:
            mark, decision, decided, buy, sell = self.due.pop(0)
            self.writer.add(
                RecordType.MARKOUT,
                decision_id=decision,
                decision_event_ns=decided,
                resolved_event_ns=mark,
                buy_pnl_bps=buy,
                sell_pnl_bps=sell,
            )

    def finish(self) -> None:
        self.resolve(1 << 62)

    def _decide(self) -> None:
        self.decision_id += 1
        route, world = self.route, self.draw(self.random, self.decision_id)
        to_challenger = self.random.integers(10_000) < route["share_bps"]
        answers = {Arm.CHAMPION: world.champion, Arm.CHALLENGER: world.challenger}
        if route["phase"] in BAKING:  # the judged version is champion now, the control in the other's place
            answers = {Arm.CHAMPION: world.challenger, Arm.CHALLENGER: world.champion}
        arm = Arm.CHALLENGER if to_challenger else Arm.CHAMPION
        versions = {Arm.CHAMPION: route["champion"], Arm.CHALLENGER: route["challenger"]}
        acted, other = answers[arm], Arm.CHAMPION if to_challenger else Arm.CHALLENGER
        paired = route["phase"] in (Phase.SHADOW, Phase.AB, Phase.BAKE)
        self.writer.add(
            RecordType.DECISION,
            decision_id=self.decision_id,
            receive_ns=self.event_ns,
            answer_ns=self.event_ns + acted.latency_ns,
            event_ns=self.event_ns,
            epoch=self.epoch,
            version=versions[arm],
            share_bps=route["share_bps"],
            arm=arm,
            action=acted.action,
            abstain=acted.abstain,
            expected_shadows=int(paired),
        )
        if paired:
            shadow = answers[other]
            self.writer.add(
                RecordType.SHADOW,
                decision_id=self.decision_id,
                latency_ns=shadow.latency_ns,
                epoch=self.epoch,
                version=versions[other],
                arm=other,
                action=0 if shadow.dropped else shadow.action,
                abstain=shadow.abstain,
                dropped=int(shadow.dropped),
            )
        self.due.append((self.event_ns + HORIZON_NS, self.decision_id, self.event_ns, world.buy, world.sell))


def skilled(random: np.random.Generator, _id: int) -> tuple[Answer, float, float]:
    """A champion that sees a little of the next move; a move of sd 2 bps, half a bp of spread."""
    move = float(random.standard_t(4))
    seen = move + float(random.normal(0, 4))
    action = int(np.sign(seen)) if abs(seen) > 2 else 0
    return Answer(action=action, latency_ns=int(random.integers(10_000, 60_000))), move - 0.5, -move - 0.5


def equal(random: np.random.Generator, id_: int) -> World:
    """The challenger is as good and disagrees now and then."""
    champion, buy, sell = skilled(random, id_)
    move = (buy - sell) / 2
    seen = move + float(random.normal(0, 4))
    action = int(np.sign(seen)) if abs(seen) > 2 else 0
    return World(champion, Answer(action=action, latency_ns=int(random.integers(10_000, 60_000))), buy, sell)


def harmful(random: np.random.Generator, id_: int) -> World:
    """The challenger trades at random across the spread."""
    champion, buy, sell = skilled(random, id_)
    return World(champion, Answer(action=int(random.choice([-1, 1])), latency_ns=30_000), buy, sell)


def slow(random: np.random.Generator, id_: int) -> World:
    """The challenger is equal and takes 5 ms for one answer in ten."""
    world = equal(random, id_)
    if random.random() < 0.1:
        world.challenger.latency_ns = 5_000_000
    return world
