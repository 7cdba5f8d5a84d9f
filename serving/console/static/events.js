// What happened, newest first; and the workers it happened on.

import { h, setChildren, setText, table } from "./dom.js";
import { clock, count, instant, mood, words } from "./format.js";

const EVENTS = [
  { title: "Time", mono: true, hint: "Our clock, UTC" },
  { title: "Event time", mono: true, two: true, hint: "The exchange's clock, UTC" },
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

/** Fill the table of workers. */
export function showWorkers(element, workers) {
  setChildren(element, workers, () => {
    if (!workers.length) return [h("p", { class: "empty" }, "No worker has reported: ", h("code", {}, "ringcraft serve"), " starts one.")];
    const names = [...new Set(workers.flatMap((worker) => Object.keys(worker.counters)))];
    const columns = [{ title: "Worker" }, { title: "State" }, { title: "Feed port", right: true }, ...names.map((name) => ({ title: words(name), right: true }))];
    return [table("Workers", columns, workers.map((worker) => [
      worker.name, h("span", { class: `tag ${worker.alive ? "good" : "bad"}` }, worker.alive ? "alive" : "gone"), String(worker.feed_port),
      ...names.map((name) => h("span", { class: /dropped|failed/.test(name) && worker.counters[name] > 0 ? "down" : null }, count(worker.counters[name] ?? null))),
    ]))];
  });
}
