// Remembers choices in the browser, where that is allowed. What cannot be read is as if it had never been written.
import { DEFAULTS } from "./choices.js";

const NAME = "waav.console";

// The choices in `storage`, each of them checked; missing ones are the defaults.
export function recall(storage) {
  let found = null;
  try {
    found = JSON.parse(storage.getItem(NAME));
  } catch {
    // not ours, or storage is switched off
  }
  const choices = { ...DEFAULTS };
  if (found === null || typeof found !== "object") return choices;
  for (const [name, value] of Object.entries(DEFAULTS)) {
    if (typeof found[name] === typeof value) choices[name] = found[name];
  }
  return choices;
}

// Keep those that differ from the defaults.
export function remember(storage, choices) {
  const changed = Object.entries(DEFAULTS).filter(([name, value]) => choices[name] !== value);
  try {
    storage.setItem(NAME, JSON.stringify(Object.fromEntries(changed.map(([name]) => [name, choices[name]]))));
  } catch {
    // private windows: the choices hold until the page is closed
  }
}
