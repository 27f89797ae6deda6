// The picture of where each turn's time went, and the figures over all of them.
import { PARTS, parts, summary, total } from "../measure/latency.js";
import { byId, make } from "./dom.js";
import { playButton } from "./play-button.js";

const SVG = "http://www.w3.org/2000/svg";
const SHOWN = 30;
const COUNTED = 200; // turns in the figures
const NAMES = { ...PARTS, whole: "voice end to sound" };

export class LatencyView {
  constructor() {
    this.turns = []; // {text, moments, row, play}
  }

  // A turn whose moments become known one by one: call `draw` when they do.
  add(text, moments) {
    const turn = { text, moments, button: "", row: make("li", { className: "measured" }) };
    this.turns.push(turn);
    if (this.turns.length > COUNTED) this.turns.shift();
    byId("no-turns").hidden = true;
    byId("turns").prepend(turn.row);
    while (byId("turns").childElementCount > SHOWN) byId("turns").lastElementChild.remove();
    this.draw(turn);
    return turn;
  }

  // Its sound is there: offer to play it (see play-button.js).
  playable(turn, play) {
    if (turn.button) return;
    turn.button = playButton(`Play the turn as it was: ${turn.text.slice(0, 60)}`, "", play);
    this.draw(turn);
  }

  draw(turn) {
    const found = parts(turn.moments);
    const sum = total(turn.moments);
    const figures = found.length ? `${found.map(({ ms }) => ms).join(" + ")} ms` : "…";
    const said = found.map(({ name, ms }) => `${NAMES[name]} ${ms} milliseconds`).join(", ");
    turn.row.replaceChildren(
      make("p", { className: "what" }, turn.button, make("span", { className: "said" }, turn.text), make("b", { className: "total" }, found.length ? `${sum} ms` : "")),
      picture(found, this.scale(), said || "nothing measured yet"),
      make("p", { className: "figures" }, figures),
    );
    this.sumUp();
  }

  scale() {
    return Math.max(1000, ...this.turns.slice(-SHOWN).map(({ moments }) => total(moments)));
  }

  sumUp() {
    const rows = summary(this.turns.map(({ moments }) => moments));
    byId("summary").hidden = rows.length === 0;
    byId("summary").tBodies[0].replaceChildren(
      ...rows.map(({ name, count, p50, p95 }) => make("tr", { className: name },
        make("th", { scope: "row" }, NAMES[name]), make("td", {}, String(count)), make("td", {}, String(p50)), make("td", {}, String(p95)))),
    );
  }

  clear() {
    this.turns = [];
    byId("turns").replaceChildren();
    byId("no-turns").hidden = false;
    this.sumUp();
  }
}

function picture(found, scale, label) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 1000 12");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  let x = 0;
  for (const { name, ms } of found) {
    const bar = document.createElementNS(SVG, "rect");
    const width = (ms / scale) * 1000;
    for (const [key, value] of Object.entries({ class: name, x, y: 0, width, height: 12 })) bar.setAttribute(key, value);
    svg.append(bar);
    x += width;
  }
  return svg;
}
