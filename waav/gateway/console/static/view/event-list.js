// The inspector: every message, a row that opens, filtered by kind and text.
import { matches } from "../call/event-log.js";
import { byId, following, make, preciseTimeOf, save } from "./dom.js";

export class EventList {
  constructor(log) {
    this.log = log;
    this.list = byId("events");
    this.boxes = [...byId("inspector").querySelectorAll(".filters input[type=checkbox]")];
    this.follow = following(this.list);
    this.due = false;
    for (const box of this.boxes) box.addEventListener("change", () => this.redraw());
    byId("find").addEventListener("input", () => this.redraw());
    byId("clear-events").addEventListener("click", () => {
      log.clear();
      this.redraw();
    });
    byId("save-events").addEventListener("click", () => save("waav-events.json", log.exported(), "application/json"));
  }

  get kinds() {
    return new Set(this.boxes.filter((box) => box.checked).map((box) => box.value));
  }

  message(direction, message) {
    this.show(this.log.add(direction, message));
  }

  audio(direction, bytes) {
    const entry = this.log.addAudio(direction, bytes);
    if (matches(entry, this.kinds, byId("find").value)) this.show(entry);
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => this.count());
  }

  show(entry) {
    if (!matches(entry, this.kinds, byId("find").value)) return;
    const found = this.list.querySelector(`[data-number="${entry.number}"]`);
    if (found) found.replaceWith(row(entry));
    else this.list.append(row(entry));
    while (this.list.childElementCount > this.log.entries.length) this.list.firstElementChild.remove();
    this.follow();
  }

  redraw() {
    this.list.replaceChildren(...this.log.filtered(this.kinds, byId("find").value).map(row));
    this.follow();
  }

  count() {
    this.due = false;
    const { up, down } = this.log.audio;
    const said = ({ frames, bytes }) => `${frames} frames, ${Math.round(bytes / 1024)} KB`;
    byId("counts").textContent = `Audio: to the gateway ${said(up)}; from it ${said(down)}`;
  }
}

function row({ number, at, direction, kind, message }) {
  const { type } = message;
  const arrow = make("span", { className: "arrow", attributes: { "aria-label": direction === "up" ? "sent" : "received" } }, direction === "up" ? "→" : "←");
  const summary = make("summary", {}, make("span", { className: "at" }, preciseTimeOf(at)), " ", arrow, " ", make("b", {}, type), " ", brief(message));
  const details = make("details", { className: direction }, summary, make("pre", {}, JSON.stringify(message, null, 2)));
  Object.assign(details.dataset, { number, kind });
  return details;
}

// What matters of a message, in a line.
function brief({ type, ...rest }) {
  const finality = rest.is_speech_final ? "speech final" : rest.is_final ? "final" : "partial";
  switch (type) {
    case "stt_result":
      return `${finality}${rest.forced ? ", forced" : ""}: ${rest.transcript}`;
    case "speak":
      return rest.text;
    case "error":
      return rest.message;
    case "config":
      return `${rest.stt_config.provider} hears, ${rest.tts_config.provider} speaks`;
    default:
      return Object.keys(rest).length ? JSON.stringify(rest).slice(0, 160) : "";
  }
}
