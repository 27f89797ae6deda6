// The voices of a vendor as a list to choose from.
import { make } from "./dom.js";

// Fill the `select` with `voices` as GET /voices has them, by language where there are several; first the vendor's own
// default. `chosen` stays chosen if it is there, or if nobody knows what is.
export function offerVoices(select, voices, chosen) {
  const byLanguage = new Map();
  for (const voice of voices) {
    byLanguage.set(voice.language, [...(byLanguage.get(voice.language) ?? []), option(voice)]);
  }
  const groups = [...byLanguage].sort(([a], [b]) => a.localeCompare(b));
  const items = groups.length === 1
    ? groups[0][1]
    : groups.map(([language, options]) => make("optgroup", { label: language }, ...options));
  if (voices.length === 0 && chosen) items.push(option({ id: chosen, name: chosen }));
  select.replaceChildren(make("option", { value: "" }, "The vendor's default"), ...items);
  select.value = chosen;
  if (select.selectedIndex < 0) select.value = "";
}

function option({ id, name, gender, accent }) {
  const about = [gender, accent].filter((word) => word && word !== "Unknown").join(", ");
  const item = make("option", { value: id }, about ? `${name} (${about})` : name);
  item.dataset.name = name;
  return item;
}
