// The gateway itself: its version, what became of its models, and where the audio of a call goes.
import { outsiders } from "../call/choices.js";
import { byId, make } from "./dom.js";

const MODELS = { turn_detection: "Turn detection", noise_filter: "Noise filter" };

// `version` as GET / has it, `models` as GET /providers has them; null where the gateway did not answer.
export function describe(version, models) {
  byId("gateway-line").textContent = version ? `WaaV ${version}` : "No gateway";
  byId("gateway").dataset.state = version ? modelsState(models) : "broken";
  const facts = [["Version", version ?? "it does not answer"]];
  for (const [name, title] of Object.entries(MODELS)) facts.push([title, models?.[name] ?? "unknown"]);
  byId("gateway-facts").replaceChildren(
    ...facts.flatMap(([title, value]) => [make("dt", {}, title), make("dd", {}, value)]),
  );
}

// The worst of what became of them; those that are off are as they should be.
export function modelsState(models) {
  const states = Object.values(models ?? {}).map((state) => state.split(":")[0]);
  return ["broken", "missing", "loading"].find((state) => states.includes(state)) ?? "ready";
}

// Say who gets to hear the call: "Audio goes to this gateway only" where that is true.
export function privacy(choices, titles) {
  const names = outsiders(choices).map((name) => titles[name] ?? name);
  byId("privacy").textContent = names.length === 0
    ? "Audio goes to this gateway only."
    : `The gateway passes this call on to ${names.join(" and ")}.`;
}
