// Where a rollout stands: its verdict, its steps, and how close each guardrail is to tripping.

import { h, setChildren } from "./dom.js";
import { count, mood, percent, words } from "./format.js";

const SCALE = 80;
const KINDS = { challenger: "Challenger", first_champion: "First champion", bake: "Bake after promotion of" };

/** Fill `element` with the verdict, or nothing while there is none. */
export function showVerdict(element, rollout) {
  setChildren(element, rollout && [rollout.verdict, rollout.version, rollout.guardrail, rollout.decision, rollout.reason, rollout.paused, rollout.rollout_id], () => {
    if (!rollout) return [];
    const where = rollout.decision === null ? "" : ` at decision ${count(rollout.decision)}`;
    const guardrail = rollout.guardrail ? ` on ${words(rollout.guardrail)}` : "";
    if (rollout.verdict) return [banner(mood(rollout.verdict) || "warn", `v${rollout.version} ${words(rollout.verdict)}${guardrail}${where}`, rollout.reason)];
    return rollout.paused ? [banner("warn", `v${rollout.version} paused`, rollout.reason || "Every share is back at the champion; evidence is kept.")] : [];
  });
}

function banner(kind, title, text) {
  return h("div", { class: `banner ${kind}` }, h("strong", {}, title), h("span", {}, text));
}

/** Fill `element` with steps and evidence. */
export function showRollout(element, rollout) {
  setChildren(element, rollout, () => [
    h("h3", {}, "Rollout"),
    ...(rollout ? [steps(rollout), facts(rollout), ...evidence(rollout)] : [
      h("p", { class: "empty" }, "No rollout: set the alias ", h("code", {}, "challenger"), " on a version in MLflow, and it is checked, shadowed and given its share."),
    ]),
  ]);
}

function steps(rollout) {
  const items = Array.from({ length: rollout.steps }, (_, index) => {
    const now = index === rollout.step;
    const done = index < rollout.step || rollout.verdict === "promoted";
    const progress = rollout.needed_in_step > 0 ? rollout.folded_in_step / rollout.needed_in_step : 0;
    const fill = h("i");
    fill.style.width = `${done ? 100 : now ? Math.min(100, 100 * progress) : 0}%`;
    return h("li", { class: now ? "now" : done ? "done" : null, "aria-current": now ? "step" : null },
      h("span", { class: "bar" }, fill), stepName(rollout, index, now));
  });
  const kind = rollout.verdict ? mood(rollout.verdict) || "warn" : rollout.paused ? "warn" : "";
  return h("ol", { class: `steps ${kind}`, "aria-label": "Steps of the rollout" }, ...items);
}

function stepName(rollout, index, now) {
  const share = rollout.step_shares[index] ?? (now ? rollout.share : null);
  if (share === 0 || (share === null && index === 0)) return "shadow";
  return share === null ? `step ${index + 1}` : percent(share);
}

function facts(rollout) {
  const over = rollout.folded_in_step > rollout.needed_in_step;
  const needed = rollout.needed_in_step > 0 && !over ? [" of ", h("b", {}, count(rollout.needed_in_step))] : [];
  const asked = over && rollout.needed_in_step > 0 ? ` (${count(rollout.needed_in_step)} needed)` : "";
  const share = rollout.share > 0 && rollout.state !== "bake" ? ` at ${percent(rollout.share)}` : "";
  return h("p", { class: "facts-line" },
    h("span", {}, `${KINDS[rollout.kind] ?? rollout.kind} `, h("b", {}, `v${rollout.version}`), `, ${words(rollout.state)}${share}`),
    h("span", {}, h("b", {}, count(rollout.folded_in_step)), ...needed, ` decisions in this step${asked} · `, h("b", {}, count(rollout.folded)), " judged in all"));
}

function evidence(rollout) {
  const rows = rollout.guards.map((guard) => bar(guard.name, guard.evidence, guard.detail, guard.evidence >= 1 ? "tripped" : guard.evidence >= 0.7 ? "near" : ""));
  return [
    h("h3", {}, "Evidence"),
    h("div", { class: "guard scale", "aria-hidden": "true" }, h("div"), h("div", {}, h("span", {}, "acts at 1")), h("div")),
    ...rows,
    rollout.kind !== "challenger" ? "" : bar("promotion", rollout.promotion_evidence, "for the version: as good as the champion, within the margin", "promotion"),
  ];
}

function bar(name, value, detail, kind) {
  const fill = h("i");
  fill.style.width = `${Math.min(100, Math.max(0, (value ?? 0) * SCALE))}%`;
  const shown = value === null ? "–" : value.toFixed(2).replace("-", "\u2212");
  const track = h("div", { class: `track ${kind}`, role: "meter", "aria-label": `${words(name)} evidence`, "aria-valuemin": 0, "aria-valuemax": 1, "aria-valuenow": Math.min(1, Math.max(0, value ?? 0)), "aria-valuetext": `${shown} of 1` }, fill, h("b"));
  return h("div", { class: "guard" }, h("span", { class: "name" }, words(name)), track, h("span", { class: "value num" }, shown), h("span", { class: "detail" }, detail));
}
