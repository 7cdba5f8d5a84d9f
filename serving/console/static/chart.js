// Cumulative PnL over event time, one line a version, with a cursor that reads the values.

import { h, s, setChildren, setText } from "./dom.js";
import { bps, instant } from "./format.js";

const WIDTH = { wide: 760, narrow: 380 };
const HEIGHT = 270;
const EDGE = { left: 62, right: 12, top: 22, bottom: 26 };
const SECOND = 1e9;
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800].map((n) => n * SECOND);

/** Return a chart: {element, update(points, colour)}. colour(version) is a CSS colour. */
export function pnlChart() {
  const picture = h("div", { class: "chart" });
  const legend = h("div", { class: "legend" });
  const element = h("div", {}, picture, legend);
  let shown = null;

  function update(points, colour) {
    const narrow = element.clientWidth > 0 && element.clientWidth < 520;
    const key = [points.length, points[0], points.at(-1), narrow, points.map((p) => p.pnl_bps)];
    setChildren(picture, key, () => {
      shown = points.length ? layOut(points, narrow ? WIDTH.narrow : WIDTH.wide) : null;
      return [shown ? draw(shown, colour) : h("p", { class: "empty" }, "No outcome yet: the first mark-out arrives one horizon after the first decision that trades.")];
    });
    if (shown) showLegend(shown.series.map((line) => ({ ...line, at: line.points.at(-1) })), colour, "");
    picture.onpointermove = (event) => shown && readAt(event, colour);
    picture.onpointerleave = () => {
      picture.querySelector(".cursor")?.setAttribute("visibility", "hidden");
      legend.shownVersion = null;
      if (shown) showLegend(shown.series.map((line) => ({ ...line, at: line.points.at(-1) })), colour, "");
    };
  }

  function readAt(event, colour) {
    const svg = picture.querySelector("svg");
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * shown.width;
    const time = shown.timeAt(Math.min(Math.max(x, EDGE.left), shown.width - EDGE.right));
    const cursor = svg.querySelector(".cursor");
    cursor.setAttribute("visibility", "visible");
    cursor.setAttribute("x1", shown.x(time));
    cursor.setAttribute("x2", shown.x(time));
    const read = shown.series.map((line) => ({ ...line, at: line.points.findLast((p) => p.event_ns <= time) ?? null }));
    showLegend(read, colour, instant(time).slice(0, 19));
  }

  function showLegend(lines, colour, when) {
    setChildren(legend, [lines.map((line) => [line.version, line.arm, line.at]), when], () => [
      ...lines.map((line) => {
        const swatch = h("span", { class: "swatch" });
        swatch.style.background = colour(line.version);
        const value = h("span", { class: "num" });
        setText(value, line.at ? bps(line.at.pnl_bps) : "–");
        return h("span", {}, swatch, `v${line.version} ${line.arm} `, value);
      }),
      when ? h("span", { class: "num muted" }, when) : "",
    ]);
  }

  return { element, update };
}

function layOut(points, width) {
  const series = new Map();
  for (const point of points) {
    if (point.pnl_bps === null) continue;
    if (!series.has(point.version)) series.set(point.version, { version: point.version, points: [] });
    const line = series.get(point.version);
    line.arm = point.arm;
    line.points.push(point);
  }
  const times = points.map((p) => p.event_ns);
  const values = [0, ...points.map((p) => p.pnl_bps ?? 0)];
  const [start, end] = [Math.min(...times), Math.max(...times)];
  const ticks = niceTicks(Math.min(...values), Math.max(...values), 5);
  const [low, high] = [ticks[0], ticks.at(-1)];
  const inner = { width: width - EDGE.left - EDGE.right, height: HEIGHT - EDGE.top - EDGE.bottom };
  const span = Math.max(end - start, SECOND);
  return {
    series: [...series.values()].sort((a, b) => a.version - b.version),
    ticks, start, end, span, width,
    x: (time) => EDGE.left + ((time - start) / span) * inner.width,
    y: (value) => EDGE.top + (1 - (value - low) / (high - low || 1)) * inner.height,
    timeAt: (x) => start + ((x - EDGE.left) / inner.width) * span,
  };
}

function draw(chart, colour) {
  const right = chart.width - EDGE.right;
  const label = `Cumulative live PnL in basis points: ${chart.series.map((l) => `version ${l.version} ${bps(l.points.at(-1).pnl_bps)}`).join(", ")}`;
  const parts = [s("text", { x: EDGE.left, y: 12 }, "bps, cumulative, after costs")];
  for (const tick of chart.ticks) {
    const y = chart.y(tick);
    parts.push(s("line", { class: tick === 0 ? "zero" : "gridline", x1: EDGE.left, x2: right, y1: y, y2: y }));
    parts.push(s("text", { x: EDGE.left - 6, y: y + 4, "text-anchor": "end" }, tickText(tick, chart.ticks)));
  }
  for (const { time, text } of timeTicks(chart)) {
    const x = chart.x(time);
    parts.push(s("line", { class: "gridline", x1: x, x2: x, y1: HEIGHT - EDGE.bottom, y2: HEIGHT - EDGE.bottom + 4 }));
    parts.push(s("text", { x, y: HEIGHT - 8, "text-anchor": "middle" }, text));
  }
  for (const line of chart.series) {
    const path = line.points.map((p, index) => `${index ? "L" : "M"}${chart.x(p.event_ns).toFixed(1)} ${chart.y(p.pnl_bps).toFixed(1)}`);
    const drawn = s("path", { class: "series", d: path.join("") });
    drawn.style.stroke = colour(line.version);
    parts.push(drawn);
  }
  parts.push(s("line", { class: "cursor", y1: EDGE.top, y2: HEIGHT - EDGE.bottom, visibility: "hidden" }));
  return s("svg", { viewBox: `0 0 ${chart.width} ${HEIGHT}`, role: "img", "aria-label": label }, ...parts);
}

function niceTicks(low, high, wanted) {
  const rough = (high - low || 1) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const ticks = [];
  for (let n = Math.floor(low / step); n <= Math.ceil(high / step); n += 1) ticks.push(n * step);
  return ticks;
}

function tickText(tick, ticks) {
  const step = ticks[1] - ticks[0];
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const text = Math.abs(tick).toFixed(digits);
  return tick < 0 ? `\u2212${text}` : text;
}

function timeTicks(chart) {
  const most = chart.width > 500 ? 7 : 4;
  const step = TIME_STEPS.find((n) => chart.span / n <= most) ?? TIME_STEPS.at(-1);
  const found = [];
  for (let time = Math.ceil(chart.start / step) * step; time <= chart.start + chart.span; time += step) {
    const text = instant(time);
    found.push({ time, text: chart.span > 86400 * SECOND ? text.slice(5, 16) : text.slice(11, step < 60 * SECOND ? 19 : 16) });
  }
  // A label that would stick out on the right is left out.
  return found.filter(({ time, text }) => chart.x(time) + text.length * 3.4 <= chart.width);
}
