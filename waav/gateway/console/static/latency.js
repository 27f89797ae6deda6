// One bar a turn: speech end -> final transcript -> first audio byte -> first audio played.

const SVG = "http://www.w3.org/2000/svg";
const KEPT = 30;

export class Latency {
  constructor(list) {
    this.list = list;
    this.turns = new Map();
    this.last = 0;
  }

  add(turn) {
    this.last += 1;
    turn.text = turn.text.length > 60 ? `${turn.text.slice(0, 60)}…` : turn.text;
    this.turns.set(this.last, turn);
    this.list.querySelector(".empty")?.remove();
    turn.row = document.createElement("div");
    turn.row.className = "turn";
    turn.row.setAttribute("role", "listitem");
    this.list.prepend(turn.row);
    if (this.turns.size > KEPT) {
      const [oldest] = this.turns.keys();
      this.turns.get(oldest).row.remove();
      this.turns.delete(oldest);
    }
    this.draw(this.last);
    return this.last;
  }

  final(text, speechEnd, now) {
    return this.add({ text, final: Math.max(0, now - speechEnd) });
  }

  typed(text) {
    return this.add({ text, final: null });
  }

  asked(id, now) {
    const turn = this.turns.get(id);
    if (turn) turn.askedAt = now;
  }

  firstByte(id, now) {
    const turn = this.turns.get(id);
    if (!turn || turn.byteAt || !turn.askedAt) return;
    turn.byteAt = now;
    turn.wait = now - turn.askedAt;
    this.draw(id);
  }

  played(id, now) {
    const turn = this.turns.get(id);
    if (!turn || turn.play != null || !turn.byteAt) return;
    turn.play = Math.max(0, now - turn.byteAt);
    this.draw(id);
  }

  draw(id) {
    const turn = this.turns.get(id);
    const parts = [["final", turn.final], ["wait", turn.wait], ["play", turn.play]].filter(([, ms]) => ms != null);
    const total = parts.reduce((sum, [, ms]) => sum + ms, 0);
    const scale = Math.max(1000, ...[...this.turns.values()].map((t) => (t.final ?? 0) + (t.wait ?? 0) + (t.play ?? 0)));
    const what = document.createElement("div");
    what.className = "what";
    const label = document.createElement("span");
    label.textContent = turn.text;
    const figures = document.createElement("span");
    figures.textContent = parts.length ? `${parts.map(([, ms]) => Math.round(ms)).join(" + ")} = ${Math.round(total)} ms` : "…";
    what.append(label, figures);
    const picture = document.createElementNS(SVG, "svg");
    picture.setAttribute("viewBox", "0 0 1000 16");
    picture.setAttribute("preserveAspectRatio", "none");
    picture.setAttribute("role", "img");
    const names = { final: "speech end to final", wait: "final to first audio byte", play: "first byte to first sound" };
    picture.setAttribute("aria-label", parts.map(([kind, ms]) => `${names[kind]} ${Math.round(ms)} milliseconds`).join(", "));
    let x = 0;
    picture.append(bar("back", 0, 1000));
    for (const [kind, ms] of parts) {
      const width = (ms / scale) * 1000;
      picture.append(bar(kind, x, Math.max(2, width)));
      x += width;
    }
    turn.row.replaceChildren(what, picture);
  }
}

function bar(kind, x, width) {
  const rect = document.createElementNS(SVG, "rect");
  rect.setAttribute("class", kind);
  rect.setAttribute("x", x.toFixed(1));
  rect.setAttribute("y", 2);
  rect.setAttribute("width", width.toFixed(1));
  rect.setAttribute("height", 12);
  return rect;
}
