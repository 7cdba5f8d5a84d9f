// One dialog for every command: it first asks what would happen, then does it.

import { setText } from "./dom.js";

const $ = (id) => document.getElementById(id);
const TITLES = { promote: "Promote", rollback: "Roll back", pause: "Pause", resume: "Resume" };
let asked = null;

/** Open the dialog for an action on a model and show what it would do. */
export async function openCommand(model, action) {
  asked = { model, action };
  setText($("command-title"), `${TITLES[action]} ${model}`);
  setText($("command-go"), TITLES[action]);
  setText($("command-preview"), "Asking what would happen…");
  setText($("command-error"), "");
  $("command-why").value = "";
  $("command-go").disabled = true;
  $("command").showModal();
  const answer = await send({ dry_run: true, why: "dry run", who: "" });
  setText($("command-preview"), answer.text);
  $("command-go").disabled = !answer.done;
}

async function send(body) {
  const address = `/api/models/${encodeURIComponent(asked.model)}/${asked.action}`;
  try {
    const response = await fetch(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    const answer = await response.json();
    return { done: response.ok && answer.done, text: answer.text ?? answer.error };
  } catch (error) {
    return { done: false, text: `No answer: ${error.message}` };
  }
}

async function carryOut(event) {
  event.preventDefault();
  $("command-go").disabled = true;
  const answer = await send({ dry_run: false, why: $("command-why").value.trim() || "no reason given", who: $("command-who").value.trim() });
  if (answer.done) $("command").close();
  else setText($("command-error"), answer.text);
  $("command-go").disabled = false;
}

$("command").querySelector("form").addEventListener("submit", carryOut);
$("command-cancel").addEventListener("click", () => $("command").close());
