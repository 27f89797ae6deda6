// The conversation: two sides, each turn with speaker, time, and its text, which grows in place while it is understood.
import { byId, following, make, timeOf } from "./dom.js";
import { playButton } from "./play-button.js";

const KEPT = 200;

export class Conversation {
  constructor(list) {
    this.list = list;
    this.turns = new Map(); // id -> {row, text, notes, tools, who, at}
    this.toEnd = following(list);
  }

  // The turn's text, as far as it is known; made if it is new. `side` is "you" or "gateway".
  show(id, { side, who, text, isPartial = false }) {
    const turn = this.turns.get(id) ?? this.begin(id, side, who);
    turn.text.textContent = text;
    turn.row.classList.toggle("partial", isPartial);
    // A reader is told a text once, when it is certain.
    turn.row.setAttribute("aria-busy", String(isPartial));
    this.toEnd();
  }

  begin(id, side, who) {
    byId("welcome").hidden = true;
    const at = new Date();
    const turn = {
      text: make("p", { className: "text" }),
      notes: make("span", { className: "notes" }),
      tools: make("span", { className: "tools" }),
      who,
      at,
    };
    const time = make("time", { dateTime: at.toISOString() }, timeOf(at));
    const head = make("p", { className: "head" }, make("b", {}, who), " ", time);
    const foot = make("p", { className: "foot" }, turn.tools, turn.notes);
    turn.row = make("div", { className: `turn ${side}` }, head, turn.text, foot);
    turn.row.dataset.turn = id;
    this.turns.set(id, turn);
    this.list.append(turn.row);
    if (this.turns.size > KEPT) this.remove(this.turns.keys().next().value);
    return turn;
  }

  // Nothing more of the turn comes: what was understood so far is all.
  finish(id) {
    const turn = this.turns.get(id);
    turn?.row.classList.remove("partial");
    turn?.row.setAttribute("aria-busy", "false");
  }

  // A remark under the turn, instead of the last one.
  note(id, text) {
    const turn = this.turns.get(id);
    if (turn) turn.notes.textContent = text;
  }

  // "waiting", "sounding", "heard", "interrupted" or "unsaid", for the turn's looks.
  mark(id, state) {
    const turn = this.turns.get(id);
    if (turn) turn.row.dataset.state = state;
  }

  // Its sound is there: offer to play it (see play-button.js).
  playable(id, play) {
    const turn = this.turns.get(id);
    if (!turn || turn.tools.childElementCount > 0) return;
    turn.tools.append(playButton(`Play again: ${turn.text.textContent.slice(0, 60)}`, "Play", play));
    this.toEnd();
  }

  remove(id) {
    this.turns.get(id)?.row.remove();
    this.turns.delete(id);
  }

  clear() {
    for (const id of [...this.turns.keys()]) this.remove(id);
    byId("welcome").hidden = false;
  }

  // The conversation as text, a line a turn.
  asText() {
    return [...this.turns.values()].map(({ at, who, text }) => `${timeOf(at)}  ${who}: ${text.textContent}\n`).join("");
  }
}
