// What is watched beside the guardrails, and how far each version's answers lie from the champion's.

import { h, setChildren, table } from "./dom.js";
import { bps, count, distance, percent, words } from "./format.js";

const ASKS = {
  share: "Is the share served the one routed?",
  latency: "Is it much slower than the champion?",
  abstentions: "Does it abstain oftener than the other?",
  drift: "Do its outputs still look as at the rollout's beginning?",
  calibration: "Does what it predicts come?",
  reconciliation: "Does the trading system earn what the mark-outs say?",
};

/** Fill `element` with what is amiss, spelt out, and one mark for each watch; nothing while nothing is. compared: paper against realised, by model and version. */
export function showWatches(element, model, compared) {
  const rollout = model.rollout;
  const watches = rollout && !rollout.verdict ? rollout.watches ?? [] : [];
  const ours = compared.filter((one) => one.model === model.model);
  const marks = [...watches.map((watch) => mark(watch, "")), ...ours.map(compare)];
  setChildren(element, [watches, rollout?.version, ours], () => [
    ...watches.filter((watch) => watch.raised).map((watch) => banner(rollout.version, watch.name, watch.since_decision, `${watch.text}.${watch.action === "pause" ? " Asked for a pause." : ""}`)),
    ...ours.filter((one) => one.raised).map((one) => banner(one.version, "reconciliation", one.since_decision, `realised is ${bps(one.mean_bps)} bps a decision from paper, tolerance ${one.tolerance_bps} bps.`)),
    marks.length ? h("ul", { class: "watches", "aria-label": `Watches of ${model.model}` }, h("li", { class: "muted" }, "Watched"), ...marks) : "",
  ]);
}

function banner(version, name, decision, text) {
  const since = decision === null ? "" : ` since decision ${count(decision)}`;
  return h("div", { class: "banner warn", role: "status" }, h("strong", {}, `v${version} alarm: ${words(name)}${since}`), h("span", {}, text));
}

/** Paper against realised, of any version that outcomes were posted for. */
function compare(one) {
  const text = one.mean_bps === null ? "" : `Realised is ${bps(one.mean_bps)} bps a decision from paper over ${count(one.matched)} decisions with both, tolerance ${one.tolerance_bps} bps.`;
  return mark({ name: "reconciliation", raised: one.raised, value: one.low_bps, text }, ` v${one.version}`);
}

function mark(watch, whose) {
  const known = watch.value !== null;
  const state = watch.raised ? "alarm" : known ? "quiet" : "not known yet";
  const kind = watch.raised ? "warn" : known ? "good" : "";
  return h("li", { title: `${ASKS[watch.name] ?? ""} ${watch.text}`.trim() },
    h("span", { class: `dot ${kind}` }), `${words(watch.name)}${whose}`, h("span", { class: watch.raised ? "loud" : "muted" }, ` ${state}`));
}

const COLUMNS = [
  { title: "Version" },
  { title: "Instrument", two: true },
  { title: "Compared", right: true, hint: "Decisions that both answered" },
  { title: "Dropped", right: true, hint: "Decisions on which one of the two was never scored" },
  { title: "Act differently", right: true, hint: "Share of the compared decisions on which their actions differ" },
  { title: "Apart, mean", right: true, hint: "Mean distance of the two outputs: of the predicted move in bps, or of P(up) − P(down)" },
  { title: "Apart, largest", right: true },
  { title: "Rank correlation", right: true, two: true, hint: "Of the newest outputs: 1 where both put the decisions in the same order, 0 where they have nothing to do with each other" },
];

/** Fill `element` with the divergence table, or nothing where nothing is scored beside the champion. */
export function showDivergence(element, model, colour) {
  const rows = model.divergence ?? [];
  setChildren(element, [rows, model.model], () => {
    if (!rows.length) return [];
    // One instrument says the same as all of them.
    const shown = rows.filter((row) => !row.instrument || rows.filter((one) => one.version === row.version).length > 2);
    const against = [...new Set(rows.map((row) => `v${row.against}`))].join(", ");
    return [
      h("h3", {}, `Divergence from the champion, ${against}`),
      table(`Divergence of ${model.model}`, COLUMNS, shown.map((row) => cells(row, colour))),
    ];
  });
}

function cells(row, colour) {
  const swatch = h("span", { class: "swatch" });
  swatch.style.background = row.instrument ? "transparent" : colour(row.version);
  return [
    h("span", {}, swatch, `v${row.version}`), row.instrument || h("b", {}, "all"), count(row.count), count(row.dropped), percent(row.disagreement),
    distance(row.mean_difference, row.unit), distance(row.max_difference, row.unit),
    row.rank_correlation === null ? "–" : row.rank_correlation.toFixed(2).replace("-", "\u2212"),
  ];
}
