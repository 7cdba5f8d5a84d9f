"""The extension module's types; folders of native/ mirror the sections."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

# --- contracts ---------------------------------------------------------------

LAYOUT: dict[str, int]
"""Sizes and offsets of the shared structs, for the test that holds the dtypes against them."""

# --- market_data -------------------------------------------------------------

class FeatureSetSpec(TypedDict):
    """How native code defines a feature set; not there at run time."""

    features: list[str]
    half_lives_s: list[float]
    needs_sizes: bool
    needs_depth: bool
    needs_leader: bool
    session_gap_s: float
    warm_up_events: int

FEATURE_SETS: dict[str, FeatureSetSpec]

class FeatureEngine:
    """Streaming features of one instrument; ValueError where no set has that name and takes what is given.

    utc_offsets: from when on, ns UTC, local time is ahead of UTC by how many seconds; oldest first.
    """

    def __init__(
        self,
        set_name: str,
        *,
        microprice_ticks: Sequence[float] = (),
        leader: str = "",
        utc_offsets: Sequence[tuple[int, int]] = (),
    ) -> None: ...
    @property
    def width(self) -> int: ...
    def update(
        self, event: NDArray[np.uint8], depth: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float32], bool]:
        """Take one event's 80 bytes, and its levels, shape (1, 4, 10).

        Return its vector, shape (width,), and whether the engine is warm.
        """

    def lead(self, event: NDArray[np.uint8]) -> None:
        """Take one event of the leader."""

    def reset(self) -> None: ...

MICROPRICE_SHAPE: tuple[int, int]
"""Spreads and bins of a fitted microprice."""

def compute_features(
    engine: FeatureEngine,
    events: NDArray[np.uint8],
    *,
    depth: NDArray[np.int64] | None = None,
    leader: NDArray[np.uint8] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the matrix, shape (n, width), and which rows may be acted on, shape (n,), for 80 n bytes of events.

    The engine begins anew. depth: shape (n, 4, 10). leader: the leader's events, oldest first.
    """

def compute_markouts(
    events: NDArray[np.uint8], *, fee_bps: float, stale_after_ns: int, entry_latency_ns: int, horizon_ns: int
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Return buy, sell and mid move in bps, shape (n, 3), and the status, shape (n,), of a decision at every event."""

class ItchSummary(TypedDict):
    """What was read of an ITCH file; `error` is empty where all of it was. Not there at run time."""

    error: str
    offset: int
    messages: int
    by_type: dict[str, int]
    unknown_types: int
    unknown_orders: int
    duplicate_orders: int
    off_grid_orders: int
    over_executed: int

class ItchDecoded(ItchSummary):
    """And how often the book went into each state, by the flag's bit. Not there at run time."""

    entered: list[int]

def itch50_stocks(data: NDArray[np.uint8]) -> tuple[list[tuple[int, bytes]], ItchSummary]:
    """Return each directory entry's locate code and symbol."""

def itch50_decode(
    data: NDArray[np.uint8], *, locate: int, price_per_tick: int, midnight_ns: int, depth: bool = False
) -> tuple[NDArray[np.uint8], ItchDecoded, NDArray[np.int64] | None]:
    """Return one stock's market events, 80 bytes each, and the levels at each where asked for, shape (n, 4, 10).

    Those before an error stand.
    """

class CaptureSummary(TypedDict):
    """What was read of a packet capture; see market_data/capture.hpp. Not there at run time."""

    error: str
    offset: int
    packets: int
    udp: int
    other_link: int
    other_protocol: int
    fragments: int
    cut: int
    garbled: int

class MoldSummary(TypedDict):
    """What became of a session's packets; see market_data/moldudp64.hpp. Not there at run time."""

    packets: int
    heartbeats: int
    sessions: int
    ended: int
    messages: int
    duplicates: int
    bad_packets: int
    other_session: int
    holes: int
    requested: int
    gaps: int
    missed: int
    first_by_line: list[int]

class ItchPacketsSummary(ItchSummary):
    """What was read of captures of ITCH packets. Not there at run time."""

    bad_messages: int
    first_ns: int
    mold: MoldSummary
    captures: list[CaptureSummary]

class ItchPacketsDecoded(ItchPacketsSummary):
    """And how often the book went into each state, by the flag's bit. Not there at run time."""

    entered: list[int]

def itch50_packet_stocks(
    captures: Sequence[NDArray[np.uint8]], *, retransmission: NDArray[np.uint8], patience_ns: int
) -> tuple[list[tuple[int, bytes]], ItchPacketsSummary]:
    """Return each directory entry's locate code and symbol."""

def itch50_packet_decode(
    captures: Sequence[NDArray[np.uint8]],
    *,
    retransmission: NDArray[np.uint8],
    patience_ns: int,
    locate: int,
    price_per_tick: int,
    midnight_ns: int,
    depth: bool = False,
) -> tuple[NDArray[np.uint8], ItchPacketsDecoded, NDArray[np.int64] | None]:
    """Return one stock's market events, 80 bytes each, and the levels at each where asked for, shape (n, 4, 10)."""

class DbnSelected(TypedDict):
    """What a DBN file's records are, by type; `error` is empty where all are whole. Not there at run time."""

    error: str
    offset: int
    by_rtype: dict[int, int]

class MboSummary(TypedDict):
    """What market-by-order records gave; see market_data/dbn.hpp. Not there at run time."""

    error: str
    record: int
    unknown_orders: int
    duplicate_orders: int
    off_grid_orders: int
    over_executed: int
    other_publisher: int
    unfinished_events: int
    gaps: int

def dbn_select(data: NDArray[np.uint8], *, rtype: int, record_bytes: int) -> tuple[NDArray[np.uint8], DbnSelected]:
    """Return the records of one type, after the file's head; those before an error stand."""

def dbn_mbo_decode(
    records: NDArray[np.uint8], *, record_bytes: int, instrument: int, price_per_tick: int, depth: bool = False
) -> tuple[NDArray[np.uint8], MboSummary, NDArray[np.int64] | None]:
    """Return an instrument's events, 80 bytes each, and the levels at each where asked for, 40 numbers each."""

def itch50_touches(data: NDArray[np.uint8], *, queues: bool) -> tuple[NDArray[np.int64], ItchSummary]:
    """Return six numbers for each change of any stock's touch.

    Message number, locate code, bid price, bid shares, ask price, ask shares; prices in 1/10000.
    """

def write_market_tape(
    *, seed: int, stocks: int, messages: int, live_orders: int, reference_step: int = 1
) -> NDArray[np.uint8]:
    """Return a whole market's ITCH 5.0 bytes; see market_data/market_tape.hpp."""

class FeedRun(TypedDict):
    """One timed pass over a file; see market_data/feed_bench.hpp. Not there at run time."""

    messages: int
    checksum: int
    nanoseconds: int
    unapplied: int
    crossed: int
    bytes: int

def bench_feed(data: NDArray[np.uint8], what: str) -> FeedRun:
    """Time one pass of `what`: scan, decode, levels or orders."""

class PacketsWritten(TypedDict):
    """What a capture holds; see market_data/tape_packets.hpp. Not there at run time."""

    packets: list[int]
    overtaken: list[int]
    heartbeats: int
    recorded_messages: int
    lost_messages: int
    lost: list[tuple[int, int]]
    faults: list[tuple[int, int, int, int]]

class Tape:
    """A simulated tape that comes out piece by piece; see market_data/tape.hpp.

    `flow` holds FlowParameters' fields but for the matrix, a window FlowWindow's in order, a fault PacketFault's.
    """

    def __init__(
        self,
        *,
        seed: int,
        stocks: int,
        start_ns: int,
        seconds: float,
        most_messages: int,
        keep_touches: bool,
        flow: dict[str, float],
        branching: Sequence[Sequence[float]],
        windows: Sequence[Sequence[float]],
        halts: Sequence[Sequence[float]],
        overlaps: Sequence[Sequence[float]],
        notices_s: Sequence[float],
        marks_s: Sequence[float],
        packets: bool,
        midnight_ns: int,
        faults: Sequence[tuple[int, int, int, int, float, float, float, bool]],
    ) -> None: ...
    def next(self, about_bytes: int) -> bytes:
        """Return the next bytes, none once all are out."""

    def samples(self, stock: int) -> NDArray[np.float64]:
        """Return three numbers a second: signal, efficient price and mid in ticks."""

    def arrivals(self, stock: int) -> tuple[int, int]:
        """Return how many arrivals took place, and how many of them earlier ones excited."""

    def touches(self) -> NDArray[np.int64]:
        """Return seven numbers a change of a touch; see TapeTouch in market_data/tape_output.hpp."""

    def packets(self) -> PacketsWritten | None: ...
    def answers(self) -> bytes:
        """Return the retransmission's capture; empty where there is none."""

    @property
    def messages(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def marks(self) -> list[int]: ...
    @property
    def by_type(self) -> dict[str, int]: ...

def hawkes_events(
    *,
    baseline: Sequence[float],
    branching: Sequence[Sequence[float]],
    decay_per_s: float,
    seconds: float,
    seed: int,
) -> NDArray[np.float64]:
    """Return two numbers an event of six kinds: time in s and kind; see market_data/hawkes.hpp."""

def branching_ratio(branching: Sequence[Sequence[float]]) -> float:
    """Return the spectral radius of a six by six matrix."""

class PacketTimes(TypedDict):
    """How long packets took; see market_data/feed_bench.hpp. Not there at run time."""

    packets: int
    messages: int
    unapplied: int
    p50_ns: int
    p99_ns: int
    p999_ns: int

def bench_packets(data: NDArray[np.uint8]) -> PacketTimes:
    """Take a file's messages as packets, one by one, into books and signals."""

class FeedDay(TypedDict):
    """What a whole day holds on to; see market_data/feed_bench.hpp. Not there at run time."""

    messages: int
    nanoseconds: int
    unapplied: int
    early_bytes: int
    late_bytes: int

def bench_feed_day(*, seed: int, stocks: int, messages: int, live_orders: int) -> FeedDay:
    """Build books over a day that is made a piece at a time."""

class Books:
    """Limit order books of many instruments, per order and per level; see market_data/books.hpp."""

    def __init__(self, instruments: int) -> None: ...
    def apply_itch50(self, data: NDArray[np.uint8]) -> ItchSummary: ...
    def add(self, instrument: int, reference: int, side: str, ticks: int, lots: int) -> bool: ...
    def reduce(self, instrument: int, reference: int, lots: int) -> int: ...
    def set_level(self, instrument: int, side: str, ticks: int, lots: int) -> bool: ...
    def clear(self, instrument: int) -> None: ...
    def set_state(self, instrument: int, mask: int, on: bool) -> None: ...
    def heard(self, instrument: int, now_ns: int) -> None: ...
    def sweep_stale(self, now_ns: int, stale_after_ns: int) -> None: ...
    def best(self, instrument: int) -> tuple[int, int, int, int]:
        """Return bid ticks and lots, ask ticks and lots; an empty side is 0 and 0."""

    def depth(self, instrument: int, side: str, levels: int) -> list[tuple[int, int, int]]:
        """Return ticks, lots and orders of each level, the best first."""

    def levels(self, instrument: int) -> NDArray[np.int64]:
        """Return the best levels of both sides, shape (4, 10): bid ticks and lots, ask ticks and lots."""

    def order(self, reference: int) -> tuple[int, str, int, int, int, int] | None:
        """Return instrument, side, ticks, lots, orders before it and lots before it."""

    def state(self, instrument: int) -> int:
        """Return EventFlag bits."""

    def transitions(self) -> tuple[list[int], list[int]]:
        """Return how often each state was entered and left, by the flag's bit."""

    @property
    def orders(self) -> int: ...

class LevelFeed:
    """One instrument's book from a feed of price levels, and its events; see market_data/level_feed.hpp.

    What is wrong with a text comes back as (TextFault, whether in a price, byte, significant decimals), else None.
    """

    def __init__(
        self, *, price_decimals: int, price_step: int, lot_decimals: int, lot_step: int, depth: bool
    ) -> None: ...
    def load(self, bids: bytes, asks: bytes) -> tuple[int, bool, int, int] | None: ...
    def change(self, bids: bytes, asks: bytes, most: int = 0) -> tuple[int, bool, int, int] | None: ...
    def clear(self) -> None: ...
    def quote(self, bid: str, bid_lots: str, ask: str, ask_lots: str) -> tuple[int, bool, int, int] | None: ...
    def prefer_quote(self, on: bool) -> None: ...
    def set_edges(self, lowest_bid_ticks: int, highest_ask_ticks: int) -> None:
        """Say beyond which prices the book is not known: depth stops before them."""

    def touch(self) -> tuple[int, int, int, int]:
        """Return bid ticks and lots, ask ticks and lots: the quote's where it is preferred, else the book's."""

    def quoted_touch(self) -> tuple[int, int, int, int]: ...
    def book_touch(self) -> tuple[int, int, int, int]: ...
    def levels(self, side: str, most: int) -> list[tuple[int, int]]:
        """Return ticks and lots of the book's best levels."""

    def ticks_of(self, price: str) -> int | tuple[int, bool, int, int]: ...
    def lots_of(self, quantity: str) -> int | tuple[int, bool, int, int]: ...
    @property
    def far_levels(self) -> int: ...
    @property
    def newest_ns(self) -> int: ...
    def record(
        self,
        event_ns: int,
        receive_ns: int,
        sequence: int,
        flags: int,
        trade_ticks: int = 0,
        trade_lots: int = 0,
    ) -> None: ...
    def take(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the events since the last call, 80 bytes each, and 40 numbers of depth each where kept."""

    @property
    def recorded(self) -> int: ...
    def transitions(self) -> tuple[list[int], list[int]]:
        """Return how often each state was entered and left, by the flag's bit."""

class SourceSummary(TypedDict):
    """What a packet source brought, and what not. Not there at run time."""

    stamp: str
    packets: int
    bytes: int
    calls: int
    dropped: int
    cut: int
    other: int

class PacketSource:
    """Where packets come from; see native/market_data/packet_source.hpp."""

    def summary(self) -> SourceSummary: ...
    @property
    def refused(self) -> list[str]: ...

class CaptureSource(PacketSource):
    """Packets of a pcap or pcapng in memory."""

    def __init__(self, capture: NDArray[np.uint8]) -> None: ...
    def capture(self) -> CaptureSummary: ...

class UdpSource(PacketSource):
    """Packets of the kernel's UDP sockets; RuntimeError where one cannot be had."""

    def __init__(
        self, lines: Sequence[tuple[str, int]], *, interface: str, buffer_bytes: int, busy_poll_us: int
    ) -> None: ...
    @property
    def ports(self) -> list[int]: ...

class DpdkSource(PacketSource):
    """Packets of DPDK's first port; there only where it was built with RINGCRAFT_DPDK."""

    def __init__(self, arguments: Sequence[str]) -> None: ...

class ReceiverSummary(ItchSummary):
    """What a receiver made of its packets. Not there at run time."""

    bad_messages: int
    mold: MoldSummary
    events: int
    entered: list[int]
    unrecorded: int
    requests: int
    answers: int
    unlisted: list[str]

class FeedReceiver:
    """MoldUDP64 packets to market events; RuntimeError where recording or re-request server cannot be had."""

    def __init__(
        self,
        source: PacketSource,
        *,
        stocks: Sequence[tuple[str, int, int]],
        midnight_ns: int,
        patience_ns: int,
        bus: BusWriter | None,
        record: str,
        retransmit: str,
        keep_events: bool,
        depth: bool = False,
    ) -> None:
        """Take stocks as (symbol, price units per tick, locate code or 0); depth: keep the levels at each event."""

    def run(self, *, timeout_s: float, spin_s: float) -> bool:
        """Receive until events wait and no packet does, or time is up; return whether more may come."""

    def take_events(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the events since the last call, 80 bytes each, and 40 numbers of depth each where kept."""

    def finish(self) -> str:
        """Give holes up, close the recording; return why it is not whole, or nothing."""

    def summary(self) -> ReceiverSummary: ...

def first_packet_ns(capture: NDArray[np.uint8]) -> int:
    """Return the recorder's time of a capture's first UDP packet; 0 where there is none."""

def pin_thread(core: int) -> str:
    """Bind the calling thread to a core; return why it was refused, or nothing."""

def lock_memory() -> str:
    """Keep this process's memory from being paged out; return why it was refused, or nothing."""

def no_huge_pages() -> str:
    """Return why the books will be given ordinary pages instead of huge ones, or nothing."""

def simulate_itch50(
    *,
    seed: int,
    seconds: float,
    touch_changes: int,
    relaxation_s: float,
    market_rate: float,
    market_tilt: float,
    limit_rate: float,
    limit_decay: float,
    limit_tilt: float,
    cancel_rate: float,
    cancel_tilt: float,
    start_ticks: int,
) -> tuple[bytes, NDArray[np.float64], NDArray[np.float64], int, float]:
    """Return ITCH bytes, signal and mid in ticks at each second, touch changes, and seconds simulated."""

# --- models ------------------------------------------------------------------

class OnnxError(RuntimeError):
    """A graph or ONNX Runtime itself cannot be used."""

class Model:
    """One graph, a row at a time, one thread, whichever engine runs it; see models/model.hpp."""

    @property
    def inputs(self) -> int:
        """Floats of one row: window * width."""
    @property
    def window(self) -> int:
        """Vectors a row holds, oldest first."""
    @property
    def width(self) -> int:
        """Floats of one vector."""
    @property
    def outputs(self) -> int: ...
    @property
    def tier(self) -> str:
        """Name of the engine, for example onnxruntime."""
    @property
    def batches(self) -> bool:
        """Whether rows asked for together are run together."""
    def predict(self, rows: NDArray[np.float32], together: bool = False) -> NDArray[np.float32]:
        """Return (n, outputs) for rows (n, inputs), one by one or `together`."""
    def latencies_ns(self, rows: NDArray[np.float32], repeats: int, settling: bool = False) -> NDArray[np.int64]:
        """Time rows (n, inputs) one by one, `repeats` times over; `settling`: with the work that follows an answer."""

class OnnxModel(Model):
    """A graph run by ONNX Runtime; see models/onnx_model.hpp."""

    def __init__(self, path: str, library: str, stream: bool = False) -> None: ...
    def answers_along(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, outputs) for a sequence (n, width): what a stream's graph says of each beginning of it.

        Raises:
            OnnxError: it was not opened as a stream's.
        """

class StreamModel(Model):
    """A graph whose LSTM states are carried from row to row, in several streams; see models/stream_model.hpp.

    predict() moves the selected stream on by every row.
    """

    @property
    def streams(self) -> int: ...
    def select(self, stream: int) -> None:
        """Make `stream` the one that predict() moves on; the first is to begin with."""
    def restart(self, stream: int) -> None:
        """Begin `stream` anew."""

def load_stream(path: str, streams: int, isa: str = "") -> StreamModel:
    """Return the graph at `path` with as many states as `streams`, run by kernels of our own.

    Raises:
        OnnxError: the steps are not left open, or the graph holds something the kernels do not know or cannot carry.
    """

def load_kernel(path: str, isa: str = "") -> Model:
    """Return the graph at `path` run by kernels of our own; "avx512", "avx2", "portable" or the best there is.

    Raises:
        OnnxError: the graph holds something they do not know, or the processor lacks the instruction set.
    """

def kernel_isa() -> str:
    """Return the best instruction set that the kernels have for this processor."""

def onnxruntime_version(library: str) -> str: ...

# --- serving -----------------------------------------------------------------

class Route:
    """One model's routing; slot 255 and version 0: none."""

    def __init__(
        self,
        *,
        model: int,
        rollout_id: int = 0,
        champion_slot: int = 255,
        champion_version: int = 0,
        challenger_slot: int = 255,
        challenger_version: int = 0,
        share_bps: int = 0,
        salt: int = 0,
        phase: int = 0,
        step: int = 0,
        shadow_slots: Sequence[int] = (255, 255, 255, 255),
        shadow_versions: Sequence[int] = (0, 0, 0, 0),
        assign_by: int = 0,
    ) -> None: ...
    @property
    def model(self) -> int: ...
    @property
    def rollout_id(self) -> int: ...
    @property
    def champion_slot(self) -> int: ...
    @property
    def champion_version(self) -> int: ...
    @property
    def challenger_slot(self) -> int: ...
    @property
    def challenger_version(self) -> int: ...
    @property
    def share_bps(self) -> int: ...
    @property
    def salt(self) -> int: ...
    @property
    def phase(self) -> int: ...
    @property
    def step(self) -> int: ...
    @property
    def shadow_slots(self) -> list[int]: ...
    @property
    def shadow_versions(self) -> list[int]: ...
    @property
    def assign_by(self) -> int: ...

class RoutingTable:
    """Who answers, in shared memory: one writer, any number of readers; see serving/routing_table.hpp."""

    @staticmethod
    def create(path: str) -> RoutingTable:
        """Open it, made empty where there is none; an existing one keeps its routes."""

    @staticmethod
    def open(path: str) -> RoutingTable: ...
    def publish(self, routes: Sequence[Route], after: int = 0) -> int: ...
    def read(self) -> tuple[int, list[Route]]: ...
    def beat(self) -> None: ...
    def heartbeat_age_ns(self) -> int: ...

class LoadRun(TypedDict):
    """What a load met; see native/serving/http_load.hpp. Not there at run time."""

    latencies_ns: NDArray[np.int64]
    """From due to answered, in the order they fell due; -1 where no 200 came."""
    start_ns: int
    elapsed_ns: int
    answered: int
    refused: int
    broken: int
    unanswered: int
    status: int

def http_load(
    host: str,
    port: int,
    request: bytes,
    *,
    connections: int,
    per_second: float,
    seconds: float,
    patience_s: float,
) -> LoadRun:
    """Ask an HTTP/1.1 server at a fixed beat, or as fast as it answers where `per_second` is 0.

    Raises:
        RuntimeError: nobody listens, or answers are not HTTP/1.1 with a Content-Length.
    """

class EchoServer:
    """So many bytes in, so many out, on loopback; see native/serving/echo_server.hpp."""

    def __init__(
        self,
        request_bytes: int,
        response: bytes,
        *,
        port: int = 0,
        spin: bool = False,
        stall_at: int = 0,
        stall_s: float = 0.0,
    ) -> None: ...
    @property
    def port(self) -> int: ...
    def stop(self) -> None: ...

class Worker:
    """One worker's data plane; see serving/worker.hpp."""

    def __init__(
        self,
        *,
        journal_folder: str,
        rings_path: str,
        routing_path: str,
        host: str = "127.0.0.1",
        port: int = 0,
        worker: int = 0,
        core: int = -1,
        heartbeat_timeout_ns: int = 2_000_000_000,
        ring_records: int = 65_536,
        shadow_queue: int = 16_384,
        records_per_segment: int = ...,
        shadow_core: int = -1,
        shadow_deadline_ns: int = 2_000_000_000,
        lock_memory: bool = False,
        decisions_path: str = "",
        busy_poll: bool = False,
        door_path: str = "",
        rest_port: int = -1,
        allow_arm_override: bool = False,
        rest_keys: Sequence[tuple[str, str, bool, bool, float]] = (),
        instrument_requests_per_second: float = ...,
        shed_after_ns: Sequence[int] = ...,
        breakers: tuple[int, int, int, int, int, bool] | None = None,
        concurrency: tuple[int, Sequence[tuple[str, int]]] = (0, ()),
    ) -> None: ...
    @property
    def feed_port(self) -> int: ...
    @property
    def rest_port(self) -> int: ...
    @property
    def recovered(self) -> dict[str, int]: ...
    def counters(self) -> dict[str, int]: ...
    def breakers(self) -> list[tuple[int, int, int, int, int]]: ...
    def start(self) -> list[str]:
        """Start the threads; a line for each thing asked for that the system refused."""

    def stop(self) -> None: ...
    def set_model(
        self,
        *,
        index: int,
        name: str,
        feature_set: str,
        instruments: Sequence[str],
        horizon_ns: int,
        entry_latency_ns: int,
        min_interval_ns: int,
        late_or_failed_of_64: int,
        output_abs_max: float,
        loss_budget_bps: float,
        drawdown_budget_bps: float = ...,
        position_lots_max: int = ...,
        notional_max: float = ...,
        decisions_per_second_max: float = ...,
        model_age_max_ns: int = ...,
        extra_horizons_ns: Sequence[int] = (),
        microprice_ticks: Sequence[float] = (),
        leader: str = "",
        window: int = 1,
    ) -> None:
        """Set a model's plan; what is left out has no limit.

        microprice_ticks and leader: what was fitted or chosen of its features. window: vectors that the version which
        reads most of them reads.
        """

    def clear_model(self, index: int) -> None: ...
    def set_slot(
        self,
        *,
        model: int,
        slot: int,
        version: int,
        expected_bps: bool,
        threshold: float,
        latency_budget_ns: int,
        live: Model,
        shadow: Model,
        trained_until_ns: int = 0,
        low: Sequence[float] = ...,
        high: Sequence[float] = ...,
    ) -> None: ...
    def clear_slot(self, model: int, slot: int) -> None: ...
    def reclaim(self) -> int: ...
    def wait_hello(self, timeout_s: float) -> bytes | None: ...
    def accept_hello(
        self,
        instruments: Sequence[tuple[str, float, int, str, float, Sequence[tuple[int, int]]]],
        account: str = "",
        arm: int = 255,
        depth: bool = False,
    ) -> None:
        """Take the feed, with or without levels beside its events.

        Of each instrument symbol, fee_bps, stale_after_ns, currency, a lot's worth per tick, and when its clocks
        change: from when on, ns UTC, they are ahead of UTC by how many seconds.
        """

    def refuse_hello(self, error: str) -> None: ...
    def replay(
        self,
        instruments: Sequence[tuple[str, float, int, str, float, Sequence[tuple[int, int]]]],
        events: NDArray[np.uint8],
    ) -> NDArray[np.int64]:
        """Decide in the calling thread on packed market events; nanoseconds from event to decision for each."""

def assignment_key(text: str) -> int:
    """Return a symbol, an account or a request key as the number that arms are drawn by."""

def falls_to_challenger(keys: NDArray[np.uint64], salt: int, share_bps: int) -> NDArray[np.bool_]:
    """Return for each key, shape (n,), whether it is the challenger's at this share of 10,000."""

def drain_ring(ring_path: str, journal_dir: str) -> int:
    """Write what a dead worker left in its rings into its journal; return how many records."""

def sound_records(records: NDArray[np.uint8], first_index: int) -> int:
    """Return the first row of (n, 128) that is not whole or not in order, n where there is none."""

def crc32c(data: bytes) -> int: ...

# --- transport ---------------------------------------------------------------

class HandOverRun(TypedDict):
    """Records passed from thread to thread; see transport/ring_bench.hpp. Not there at run time."""

    records: int
    nanoseconds: int
    ordered: bool

def bench_hand_over(how: str, *, producers: int, each: int) -> HandOverRun:
    """Pass records of 80 bytes from producers to one thread through a ring (single, multi) or a locked queue."""

class RoundTrips(TypedDict):
    """How long a record took to another thread and back. Not there at run time."""

    p50_ns: int
    p99_ns: int

def bench_round_trips(how: str, *, trips: int) -> RoundTrips:
    """Pass one record to another thread and back, again and again."""

class BusWriter:
    """The one process that writes a shared-memory bus; RuntimeError where it cannot be had."""

    def __init__(self, path: str, *, slots: int, record_bytes: int, about: str) -> None: ...
    def write_events(self, events: NDArray[np.uint8], *, depth: bool = False) -> None:
        """Write 80 n bytes as n records of kind 1, or with their levels 400 n of kind 2; never waits."""

    def write(self, payload: bytes, kind: int) -> bool:
        """Write one record; False where it is longer than record_bytes."""

    @property
    def produced(self) -> int: ...

class BusReader:
    """One that follows a bus; RuntimeError where there is none."""

    def __init__(self, path: str, *, from_oldest: bool = False) -> None: ...
    def read_events(
        self, into: NDArray[np.uint8], *, timeout_s: float, spin_s: float = 0.0, depth: bool = False
    ) -> int:
        """Fill `into`, 80 n bytes, or 400 n of events with levels; wait for the first alone. Return how many came."""

    def read_records(self, into: NDArray[np.uint8], *, timeout_s: float, spin_s: float = 0.0) -> int:
        """Fill `into`, (n, bytes), with records of that length; wait for the first alone. Return how many."""

    def read(self, *, timeout_s: float, spin_s: float = 0.0) -> tuple[int, bytes] | None:
        """Return the next record's kind and payload."""

    @property
    def about(self) -> str: ...
    @property
    def record_bytes(self) -> int: ...
    @property
    def missed(self) -> int: ...
    @property
    def laps(self) -> int: ...
    @property
    def behind(self) -> int: ...
    @property
    def writer_lives(self) -> bool: ...
    @property
    def replaced(self) -> bool: ...

# --- client ------------------------------------------------------------------

class SharedClient:
    """A lane of a worker's shared-memory door; see native/client/ringcraft_client.hpp. One thread at a time."""

    def __init__(self, path: str) -> None: ...
    def ask(
        self,
        model: str,
        rows: NDArray[np.float32],
        *,
        version: int = 0,
        arm: int = 255,
        instrument: str = "",
        key: str = "",
        account: str = "",
        door: int = 5,
        deadline_ns: int = 0,
        timeout_s: float = 1.0,
        spin_s: float = 20e-6,
    ) -> tuple[int, str, int, int, int, NDArray[np.uint64], NDArray[np.int8], NDArray[np.uint8], NDArray[np.float32]]:
        """Return status, reason, version, arm, worker ns; of each row decision id, action, abstain reason, outputs."""

    def round_trips_ns(
        self, model: str, rows: NDArray[np.float32], repeats: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ask again and again; return each round trip and what the worker spent of it."""

    @property
    def served(self) -> bool: ...
    @property
    def lane(self) -> int: ...
