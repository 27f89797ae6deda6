// Where the time of a turn goes. Each moment is on the page's clock, in milliseconds; a part lasts from one moment to
// the next that is known, so the parts add up to what the caller waited.

// From the end of the voice to the moment the answer is heard.
export const MOMENTS = ["voiceEnd", "final", "asked", "firstByte", "heard"];

// Parts are named for the moment they end with.
export const PARTS = {
  final: "voice end to final text",
  asked: "final text to request",
  firstByte: "request to first audio",
  heard: "first audio to sound",
};

// [{name, ms}] of a turn's moments, in whole milliseconds that add up to `total`.
export function parts(moments) {
  const known = MOMENTS.filter((name) => moments[name] != null);
  if (known.length === 0) return [];
  const found = [];
  let latest = moments[known[0]];
  let told = 0;
  for (const name of known.slice(1)) {
    latest = Math.max(latest, moments[name]);
    const until = Math.round(latest - moments[known[0]]);
    found.push({ name, ms: until - told });
    told = until;
  }
  return found;
}

export const total = (moments) => parts(moments).reduce((sum, part) => sum + part.ms, 0);

// The smallest value that at least `share` of them do not exceed.
export function percentile(values, share) {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

// {name, count, p50, p95} of each part that occurred, and of `whole`: turns from the end of the voice until it was heard.
export function summary(turns) {
  const values = new Map();
  const add = (name, ms) => values.set(name, [...(values.get(name) ?? []), ms]);
  for (const moments of turns) {
    for (const { name, ms } of parts(moments)) add(name, ms);
    if (moments.voiceEnd != null && moments.heard != null) add("whole", total(moments));
  }
  return [...Object.keys(PARTS), "whole"].filter((name) => values.has(name)).map((name) => {
    const found = values.get(name);
    return { name, count: found.length, p50: percentile(found, 0.5), p95: percentile(found, 0.95) };
  });
}
