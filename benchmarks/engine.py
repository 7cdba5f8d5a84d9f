"""One row at a time: our kernels against ONNX Runtime's C API and PyTorch, same model file, same rows, in turn.

Everything runs in one thread on one core. A figure is the median over ROUNDS of each round's quantile; the spread is
that of the rounds' ratios. Windows come in two ways: as a stream, where each is the one before moved on by a vector,
and afresh, where no two have anything in common. What a model does once its answer is out (`Model.settle`) is left out
of the first and counted in the rows that say "and what follows".

A carried state is another mode: one step of it is held against the window that moves on, from the same weights, which
answers something else, and against ONNX Runtime over a sequence of one vector: the same arithmetic, nothing carried.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks import engine_graphs as graphs
from benchmarks.report import percentile_row, ratio
from native import onnxruntime_library
from native._native import Model, OnnxModel, load_kernel, load_stream

WIDTH: Final = 40
"""Features of the nets of the book: ten levels of price and size on either side."""
ROUNDS: Final = 15
ROWS: Final = 400
PLOT: Final = Path("build") / "bench" / "engine.png"
_RUN_NS: Final = 20_000_000
"""About so long each engine runs in a round."""

Floats = NDArray[np.float32]


class Case(NamedTuple):
    """A graph, how its rows come, and what is wanted."""

    name: str
    write: Callable[[Path], Any]
    """Writes the model; returns a PyTorch module of the same weights, or None."""
    streamed: bool = False
    goal: float = 0.0
    """Times faster than ONNX Runtime at p50, or than PyTorch where the case has it; 0: none is stated."""
    p99_goal_us: float = 0.0
    settles: bool = False
    """Whether what follows an answer is work worth a row."""


def _graph(model: Callable[[], onnx.ModelProto]) -> Callable[[Path], None]:
    return lambda path: onnx.save(model(), path)


def _family(name: str) -> Callable[[Path], Any]:
    """Return a writer of the family's net at its default sizes, untaught: what it has learnt costs no time."""

    def write(path: Path) -> Any:  # noqa: ANN401  a torch module
        import torch

        from models.families import family
        from models.families.sequence import WINDOW, SequenceModel
        from models.scaling import Scaling

        torch.manual_seed(1)
        kind: Any = family(name)
        net = kind.build(kind.default(), WINDOW, WIDTH)
        scaling = Scaling.of(np.random.default_rng(1).standard_normal((100, WIDTH)).astype(np.float32))
        onnx.save(SequenceModel(scaling, net, window=WINDOW, name=name).to_onnx(), path)
        return net

    return write


CASES: Final = (
    Case("trees 100 x depth 6, 32 features", _graph(lambda: graphs.forest(100, 6, 32)), goal=5),
    Case("trees of the GBT_A shape (64 features, 12,700 nodes)", _graph(lambda: graphs.forest(100, 6, 64)),
         p99_goal_us=0.8),
    Case("dense 64-64-64-3", _graph(graphs.dense), goal=5),
    Case("LSTM 16 x 16, hidden 32, stream", _graph(lambda: graphs.lstm(16, 16, (32,))), streamed=True, goal=2,
         settles=True),
    Case("LSTM 16 x 16, hidden 32, afresh", _graph(lambda: graphs.lstm(16, 16, (32,))), goal=2),
    Case("LSTM of the LSTM_A shape (50 x 100, 2 x 100), stream", _graph(lambda: graphs.lstm(50, 100, (100, 100))),
         streamed=True, goal=2, p99_goal_us=4.7, settles=True),
    Case("LSTM of the LSTM_A shape (50 x 100, 2 x 100), afresh", _graph(lambda: graphs.lstm(50, 100, (100, 100))),
         goal=2),
    Case("BiN-CTABL, window 32 x 40", _family("binctabl"), streamed=True, goal=20),
    Case("DeepLOB, window 32 x 40", _family("deeplob"), streamed=True, goal=20),
    Case("MLPLOB, window 32 x 40", _family("mlplob"), streamed=True),
)  # fmt: skip


class Carried(NamedTuple):
    """LSTM layers whose state is carried, and the window that they are held against."""

    name: str
    window: int
    width: int
    hidden: tuple[int, ...]


CARRIED: Final = (
    Carried("LSTM 16, hidden 32", 16, 16, (32,)),
    Carried("LSTM 100, 2 x 100", 50, 100, (100, 100)),
)


def run() -> list[dict[str, Any]]:
    """Measure every case; write the plot to PLOT."""
    with tempfile.TemporaryDirectory() as folder, _one_core():
        rows = [row for index, case in enumerate(CASES) for row in _measure(case, Path(folder) / f"{index}.onnx")]
        rows += [row for case in CARRIED for row in _measure_carried(case, Path(folder))]
    _plot(rows)
    return rows


def _measure(case: Case, path: Path) -> list[dict[str, Any]]:
    net = case.write(path)
    kernel, reference = load_kernel(str(path)), OnnxModel(str(path), onnxruntime_library())
    rows = _rows(kernel, streamed=case.streamed)
    np.testing.assert_allclose(kernel.predict(rows), reference.predict(rows), rtol=0, atol=1e-4)
    lead = 2 * kernel.window if case.streamed else 0
    quantiles = [(_quantiles_us(kernel, rows, lead), _quantiles_us(reference, rows, lead)) for _ in range(ROUNDS)]
    name = f"{case.name}, {kernel.tier}"
    results = []
    for at, quantile in enumerate(("p50", "p99")):
        pairs = [(float(ours[at]), float(peer[at])) for ours, peer in quantiles]
        row = ratio(name, pairs, peer_name="onnxruntime, C API", unit=f"us {quantile}", smaller_wins=True)
        if case.goal and quantile == "p50" and net is None:
            row["goal"] = case.goal
        results.append(row)
    if case.settles:
        pairs = [
            (float(_quantiles_us(kernel, rows, lead, settling=True)[0]), float(_quantiles_us(reference, rows, lead)[0]))
            for _ in range(ROUNDS)
        ]
        row = ratio(
            f"{name}, and what follows", pairs, peer_name="onnxruntime, C API", unit="us p50", smaller_wins=True
        )
        results.append(row | {"goal": case.goal})
    if net is not None:
        pairs = [(float(_quantiles_us(kernel, rows, lead)[0]), _torch_p50_us(net, kernel, rows)) for _ in range(ROUNDS)]
        row = ratio(name, pairs, peer_name="PyTorch, eager", unit="us p50", smaller_wins=True)
        results.append(row | ({"goal": case.goal} if case.goal else {}))
    if case.p99_goal_us:
        p99s = [float(ours[1]) for ours, _ in quantiles]
        results.append(percentile_row(name, p99s, goal=case.p99_goal_us, unit="us p99"))
    return results


def _measure_carried(case: Carried, folder: Path) -> list[dict[str, Any]]:
    name, window, width, hidden = case
    open_path, window_path = str(folder / "steps.onnx"), str(folder / "window.onnx")
    onnx.save(graphs.lstm(None, width, hidden), open_path)
    onnx.save(graphs.lstm(window, width, hidden), window_path)
    carried, reference = load_stream(open_path, 1), OnnxModel(open_path, onnxruntime_library(), stream=True)
    sliding = load_kernel(window_path)
    vectors, windows = _rows(carried, streamed=False), _rows(sliding, streamed=True)
    np.testing.assert_allclose(carried.predict(vectors), reference.answers_along(vectors), rtol=0, atol=1e-4)
    taken: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        for settling in (False, True):
            step, _ = _quantiles_us(carried, vectors, 0, settling=settling)
            window_us, _ = _quantiles_us(sliding, windows, 2 * window, settling=settling)
            once_us, _ = _quantiles_us(reference, vectors, 0)
            taken.setdefault((f"{sliding.tier}, window {window}", settling), []).append((float(step), float(window_us)))
            taken.setdefault(("onnxruntime, one step", settling), []).append((float(step), float(once_us)))
    results = []
    for (peer, settling), pairs in taken.items():
        said = f"{name}, a step of {carried.tier}" + (", and what follows" if settling else "")
        results.append(ratio(said, pairs, peer_name=peer, unit="us p50", smaller_wins=True))
    return results


def _rows(model: Model, *, streamed: bool) -> Floats:
    random = np.random.default_rng(5)
    if not streamed:
        return random.standard_normal((ROWS, model.inputs)).astype(np.float32)
    count = ROWS + 2 * model.window
    vectors = random.standard_normal((count + model.window, model.width)).astype(np.float32)
    return np.stack([vectors[start : start + model.window].ravel() for start in range(count)])


def _quantiles_us(model: Model, rows: Floats, lead: int, *, settling: bool = False) -> NDArray[np.float64]:
    """Return p50 and p99 of the rows after the first `lead`, which bring a stream under way and are not timed."""
    first = rows[: lead + 20]
    once_ns = max(float(np.median(model.latencies_ns(first, 1)[lead:])), 1.0)  # warm again after the other engine
    few = rows[len(first) :][: max(20, int(_RUN_NS / once_ns))]
    repeats = 1 if lead else max(1, int(_RUN_NS / once_ns) // len(few))
    quantiles: NDArray[np.float64] = np.quantile(model.latencies_ns(few, repeats, settling), (0.5, 0.99)) / 1e3
    return quantiles


def _torch_p50_us(net: Any, model: Model, rows: Floats) -> float:  # noqa: ANN401
    import torch

    torch.set_num_threads(1)
    windows = torch.from_numpy(rows[:60].reshape(-1, 1, model.window, model.width))
    taken = []
    with torch.inference_mode():
        net(windows[0])
        for window in windows:
            start = time.perf_counter_ns()
            net(window)
            taken.append(time.perf_counter_ns() - start)
    return float(np.median(taken)) / 1e3


@contextmanager
def _one_core() -> Iterator[None]:
    # Other threads of the process keep their cores; this one is moved back.
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _plot(rows: list[dict[str, Any]]) -> None:
    """Draw how many times faster each kernel is, with the spread."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [row for row in rows if row["peer_name"] != "the goal" and row["unit"] == "us p50"]
    figure = Figure(figsize=(9, 0.55 * len(shown) + 1.2), layout="constrained")
    axes = FigureCanvasAgg(figure).figure.add_subplot()
    middle = np.array([row["ratio"] for row in shown])
    spread = np.array([[row["ratio"] - row["low"] for row in shown], [row["high"] - row["ratio"] for row in shown]])
    places = np.arange(len(shown))[::-1]
    axes.barh(places, middle, xerr=spread, color="#4477aa", ecolor="#222222", height=0.6)
    axes.set_yticks(places, [f"{row['name']}\nagainst {row['peer_name']}" for row in shown], fontsize=7)
    axes.axvline(1, color="#222222", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("times faster at p50, batch 1; whiskers: slowest and fastest round")
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, dpi=120)
