// Who is in the line-up of a model, and how fast each answers.

import { h, s, setChildren, table, webAddress } from "./dom.js";
import { bps, count, mood, percent, us, words } from "./format.js";

const COLUMNS = [
  { title: "Arm", two: true },
  { title: "Version" },
  { title: "Family" },
  { title: "Status" },
  { title: "Share", unit: "set / served", right: true, two: true, hint: "Of live decisions: by the routing table / measured in this epoch" },
  { title: "Decisions", right: true, hint: "Live, of the rollout shown below; without one, of the champion outside rollouts" },
  { title: "Trades", right: true, hint: "Live decisions with an action" },
  { title: "Live PnL", unit: "bps", right: true, hint: "Sum of mark-outs of its own live decisions, after costs" },
  { title: "Paper PnL", unit: "bps", right: true, hint: "As if it had taken every decision of the rollout, after costs" },
  { title: "p50", unit: "µs", right: true },
  { title: "p99", unit: "µs", right: true },
  { title: "Late", right: true, hint: "Answers over the latency budget" },
  { title: "Failed", right: true },
  { title: "Engine", two: true },
];

/** Fill `element` with the line-up table. */
export function showLineup(element, model, mlflow, colour) {
  setChildren(element, [model.arms, mlflow], () => {
    if (!model.arms.length) {
      return [h("p", { class: "empty" }, "No version is served: set the alias ", h("code", {}, "champion"), " on a version of this model in MLflow.")];
    }
    return [table(`Line-up of ${model.model}`, COLUMNS, model.arms.map((arm) => row(model, arm, mlflow, colour)))];
  });
}

function row(model, arm, mlflow, colour) {
  const swatch = h("span", { class: "swatch" });
  swatch.style.background = colour(arm.version);
  const address = webAddress(mlflow);
  const name = `v${arm.version}`;
  const link = address ? h("a", { href: `${address}/#/models/${encodeURIComponent(model.model)}/versions/${arm.version}`, rel: "noreferrer" }, name) : name;
  return [
    h("span", {}, swatch, arm.arm), link, words(arm.family) || "–", h("span", {}, h("span", { class: `tag ${mood(arm.status)}` }, words(arm.status) || "–"), breaker(arm)),
    `${percent(arm.share)} / ${percent(arm.served_share)}`, count(arm.decisions), count(arm.trades), signed(arm.pnl_bps), signed(arm.paper_pnl_bps),
    us(arm.latency_p50_us), us(arm.latency_p99_us), alarming(arm.late), alarming(arm.failed), arm.tier || "–",
  ];
}

function breaker(arm) {
  return (arm.breaker ?? "closed") === "closed" ? null : h("span", { class: "down" }, ` breaker ${words(arm.breaker)}`);
}

function signed(value) {
  return h("span", { class: value > 0 ? "up" : value < 0 ? "down" : null }, bps(value));
}

function alarming(value) {
  return h("span", { class: value > 0 ? "down" : null }, count(value));
}

/** Fill `element` with p50 to p99 of each version on one logarithmic axis. */
export function showLatency(element, model, colour) {
  const arms = model.arms.filter((arm) => arm.latency_p50_us > 0 && arm.latency_p99_us > 0);
  setChildren(element, arms.map((arm) => [arm.version, arm.latency_p50_us, arm.latency_p99_us]), () => [
    h("h3", {}, "Latency, p50 to p99"),
    arms.length ? ranges(element, arms, colour) : h("p", { class: "empty" }, "No answer has been timed yet."),
  ]);
}

function ranges(element, arms, colour) {
  const narrow = element.clientWidth > 0 && element.clientWidth < 520;
  const [width, left, right, line] = [narrow ? 380 : 760, 62, 12, 22];
  const low = Math.floor(Math.log10(Math.min(...arms.map((arm) => arm.latency_p50_us))));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...arms.map((arm) => arm.latency_p99_us)))));
  const x = (value) => left + ((Math.log10(value) - low) / (high - low)) * (width - left - right);
  const bottom = arms.length * line + 4;
  const parts = [];
  for (let power = low; power <= high; power += 1) {
    const at = x(10 ** power);
    parts.push(s("line", { class: "gridline", x1: at, x2: at, y1: 0, y2: bottom }));
    parts.push(s("text", { x: at, y: bottom + 14, "text-anchor": power === high ? "end" : "middle" }, power >= 3 ? `${10 ** (power - 3)} ms` : `${10 ** power} µs`));
  }
  arms.forEach((arm, index) => {
    const y = index * line + line / 2 + 2;
    const [from, to] = [x(arm.latency_p50_us), x(Math.max(arm.latency_p99_us, arm.latency_p50_us))];
    const bar = s("rect", { x: from, y: y - 4, width: Math.max(to - from, 2), height: 8, rx: 2, opacity: 0.45 });
    const median = s("circle", { cx: from, cy: y, r: 5 });
    bar.style.fill = median.style.fill = colour(arm.version);
    parts.push(s("text", { x: left - 8, y: y + 4, "text-anchor": "end" }, `v${arm.version}`), bar, median);
  });
  const label = arms.map((arm) => `version ${arm.version}: p50 ${us(arm.latency_p50_us)} µs, p99 ${us(arm.latency_p99_us)} µs`).join("; ");
  return h("div", { class: "chart" }, s("svg", { viewBox: `0 0 ${width} ${bottom + 18}`, role: "img", "aria-label": label }, ...parts));
}
