// What happened, newest first; and the workers it happened on.

import { h, setChildren, setText, table } from "./dom.js";
import { clock, count, instant, mood, words } from "./format.js";

const EVENTS = [
  { title: "Our clock", mono: true, hint: "When it happened here, UTC" },
  { title: "Event time", mono: true, two: true, hint: "The market's clock at that moment, UTC; in a replay it is another day and runs faster" },
  { title: "What", two: true },
  { title: "Model", two: true },
  { title: "Version" },
  { title: "Decision", right: true },
  { title: "Reason", wide: true },
];
const SHOWN = 100;
let announced = null;

/** Fill the list of events; tell assistive technology only of new ones. */
export function showEvents(element, announce, events) {
  setChildren(element, [events.length, events[0], events.at(-1)], () => {
    if (!events.length) return [h("p", { class: "empty" }, "Nothing has happened yet: moves of aliases, steps and verdicts appear here.")];
    return [table("Events, newest first", EVENTS, events.slice(-SHOWN).reverse().map(row))];
  });
  const newest = events.at(-1);
  const key = newest && `${newest.wall_ns} ${newest.kind}`;
  if (newest && announced !== null && announced !== key) setText(announce, `${newest.model} ${words(newest.kind)}: ${newest.text}`);
  announced = key ?? "";
}

function row(event) {
  return [
    h("time", { datetime: new Date(event.wall_ns / 1e6).toISOString(), title: `${instant(event.wall_ns)} UTC` }, clock(event.wall_ns)),
    h("span", { title: `${instant(event.event_ns)} UTC` }, instant(event.event_ns).slice(0, 19)),
    h("span", { class: `tag ${mood(event.kind)}` }, words(event.kind)),
    event.model || "–",
    event.version === null ? "–" : `v${event.version}`,
    event.decision === null ? "–" : count(event.decision),
    event.text,
  ];
}

const TROUBLE = /dropped|failed|refused|lost|trips/;

/** Fill the list of workers: each with its state, and as many counters as it has. */
export function showWorkers(element, workers) {
  setChildren(element, workers, () => {
    if (!workers.length) return [h("p", { class: "empty" }, "No worker has reported: ", h("code", {}, "ringcraft serve"), " starts one.")];
    return workers.map(workerBlock);
  });
}

function workerBlock(worker) {
  const state = h("span", { class: `tag ${worker.alive ? "good" : "bad"}` }, worker.alive ? "alive" : "gone");
  const counters = Object.entries(worker.counters).map(([name, value]) =>
    h("div", {}, h("dt", {}, words(name)), h("dd", { class: TROUBLE.test(name) && value > 0 ? "num down" : "num" }, count(value))));
  const ports = Object.entries(worker.doors).map(([name, port]) => ` · ${words(name)} ${port}`).join("");
  return h("div", { class: "worker" },
    h("p", {}, h("b", {}, worker.name), " ", state, h("span", { class: "muted" }, ` feed port ${worker.feed_port}${ports}`)),
    h("dl", { class: "counters" }, ...counters));
}
