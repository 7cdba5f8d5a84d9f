// The page: takes each snapshot from the stream and hands its parts to those who show them.

import { pnlChart } from "./chart.js";
import { openCommand } from "./dialog.js";
import { h, setAttribute, setChildren, setText, webAddress } from "./dom.js";
import { showEvents, showWorkers } from "./events.js";
import { instant } from "./format.js";
import { showLatency, showLineup } from "./lineup.js";
import { showRollout, showVerdict } from "./rollout.js";
import { showDivergence, showWatches } from "./watch.js";

const $ = (id) => document.getElementById(id);
const COLOURS = 5;
const panels = new Map();

function dot(id, kind) {
  setAttribute($(id), "class", `dot ${kind}`);
}

function showTop(snapshot) {
  setText($("event-time"), snapshot.event_ns === null ? "no event yet" : `${instant(snapshot.event_ns)} UTC`);
  setText($("mlflow-link"), snapshot.mlflow_uri || "not set");
  setAttribute($("mlflow-link"), "href", webAddress(snapshot.mlflow_uri));
  setText($("mlflow-state"), snapshot.mlflow_reachable ? `polled every ${snapshot.registry_poll_ms} ms` : "unreachable; serving goes on");
  dot("mlflow-dot", snapshot.mlflow_reachable ? "good" : "bad");
  setText($("ready"), snapshot.ready ? "ready" : "not ready: a followed model has no verified champion");
  dot("ready-dot", snapshot.ready ? "good" : "warn");
}

function makePanel(name) {
  const part = { title: h("h2", {}, name), about: h("span", { class: "muted" }), verdict: h("div"), watches: h("div"), lineup: h("div"), divergence: h("div", { class: "divergence" }), rollout: h("div"), latency: h("div", { class: "latency" }), chart: pnlChart(), chartTitle: h("h3") };
  part.buttons = Object.fromEntries([["promote", "Promote"], ["rollback", "Roll back"], ["pause", "Pause"], ["resume", "Resume"]].map(([action, text]) => {
    const button = h("button", { type: "button", class: action === "rollback" ? "danger" : null }, `${text}…`);
    button.addEventListener("click", () => openCommand(name, action));
    return [action, button];
  }));
  part.element = h("section", { class: "panel", "aria-label": `Model ${name}` },
    h("div", { class: "model-head" }, part.title, part.about, h("div", { class: "buttons" }, ...Object.values(part.buttons))),
    part.verdict, part.watches, part.lineup,
    h("div", { class: "grid" },
      h("div", {}, part.chartTitle, part.chart.element, part.latency),
      h("div", {}, part.rollout)),
    part.divergence);
  return part;
}

/** Each version keeps one colour, by age, in table, chart and legend. */
function colours(model) {
  const versions = [...new Set([...model.arms.map((arm) => arm.version), ...model.pnl.map((point) => point.version)])].sort((a, b) => a - b);
  return (version) => `var(--s${Math.max(0, versions.indexOf(version)) % COLOURS})`;
}

function showModel(model, mlflow, compared) {
  const part = panels.get(model.model);
  const colour = colours(model);
  const running = model.rollout !== null && !model.rollout.verdict;
  setText(part.about, `${model.instruments.join(", ") || "all instruments"} · features ${model.feature_set || "–"} · routing epoch ${model.epoch}`);
  setText(part.chartTitle, model.rollout?.rollout_id ? `Live PnL in the rollout of v${model.rollout.version}${running ? "" : ", ended"}` : "Live PnL by version");
  showVerdict(part.verdict, model.rollout);
  showWatches(part.watches, model, compared);
  showLineup(part.lineup, model, mlflow, colour);
  showRollout(part.rollout, model.rollout);
  showLatency(part.latency, model, colour);
  showDivergence(part.divergence, model, colour);
  part.chart.update(model.pnl, colour);
  part.buttons.promote.disabled = !running || model.rollout.kind === "bake";
  part.buttons.rollback.disabled = !running;
  part.buttons.pause.hidden = running && model.rollout.paused;
  part.buttons.pause.disabled = !running;
  part.buttons.resume.hidden = !(running && model.rollout.paused);
}

function showModels(snapshot) {
  setChildren($("models"), snapshot.models.map((model) => model.model), () => {
    panels.clear();
    for (const model of snapshot.models) panels.set(model.model, makePanel(model.model));
    if (panels.size) return [...panels.values()].map((part) => part.element);
    return [h("section", { class: "panel" }, h("h2", {}, "Models"), h("p", { class: "empty" },
      "No model is followed yet: name one under ", h("code", {}, "[[serving.models]]"), " in ringcraft.toml, and set its alias ",
      h("code", {}, "champion"), " in MLflow."))];
  });
  for (const model of snapshot.models) showModel(model, snapshot.mlflow_uri, snapshot.outcomes?.reconciliation ?? []);
}

function show(snapshot) {
  showTop(snapshot);
  showModels(snapshot);
  showWorkers($("workers"), snapshot.workers);
  showEvents($("events"), $("announce"), snapshot.events);
  setText($("live"), "live");
  dot("live-dot", "good");
  document.body.classList.remove("stale");
}

const stream = new EventSource("/api/stream");
stream.onmessage = (message) => show(JSON.parse(message.data));
stream.onerror = () => {
  setText($("live"), "connection lost, trying again");
  dot("live-dot", "bad");
  document.body.classList.add("stale");
};
stream.onopen = () => {
  setText($("live"), "live");
  dot("live-dot", "good");
};
