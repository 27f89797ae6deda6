// Everything that passed, newest last. Audio is counted, and listed one row a run if asked for.

const KEPT = 400;

export class Inspector {
  constructor(list, counts, hold, hideAudio) {
    this.list = list;
    this.counts = counts;
    this.hold = hold;
    this.hideAudio = hideAudio;
    this.up = { frames: 0, bytes: 0 };
    this.down = { frames: 0, bytes: 0 };
    this.run = null; // the row that counts audio of one direction without a message between
    this.due = false;
  }

  add(kind, message) {
    this.run = null;
    if (this.hold.checked) return;
    const row = document.createElement("details");
    const head = document.createElement("summary");
    const arrow = kind === "up" ? "→" : "←";
    head.className = kind;
    head.textContent = `${clock()} ${arrow} ${summary(message)}`;
    const body = document.createElement("pre");
    body.textContent = JSON.stringify(message, null, 2);
    row.append(head, body);
    this.append(row);
  }

  audioUp(bytes) {
    this.audio("up", this.up, bytes);
  }

  audioDown(bytes) {
    this.audio("down", this.down, bytes);
  }

  audio(kind, total, bytes) {
    total.frames += 1;
    total.bytes += bytes;
    if (!this.due) {
      this.due = true;
      requestAnimationFrame(() => this.count());
    }
    if (this.hideAudio.checked || this.hold.checked) return;
    if (this.run?.kind !== kind) {
      const row = document.createElement("div");
      row.className = kind;
      this.run = { kind, row, frames: 0, bytes: 0 };
      this.append(row);
    }
    this.run.frames += 1;
    this.run.bytes += bytes;
    this.run.row.textContent = `${clock()} ${kind === "up" ? "→" : "←"} audio ${this.run.frames} frames, ${this.run.bytes} bytes`;
  }

  count() {
    this.due = false;
    const kb = ({ bytes }) => `${Math.round(bytes / 1024)} KB`;
    this.counts.textContent = `audio → ${this.up.frames} frames, ${kb(this.up)} · ← ${this.down.frames} frames, ${kb(this.down)}`;
  }

  append(row) {
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 40;
    this.list.append(row);
    while (this.list.childElementCount > KEPT) this.list.firstElementChild.remove();
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  empty() {
    this.list.replaceChildren();
    this.run = null;
  }
}

function clock() {
  return new Date().toISOString().slice(11, 23);
}

function summary(message) {
  const rest = { ...message };
  delete rest.type;
  const text = JSON.stringify(rest);
  return `${message.type} ${text === "{}" ? "" : text}`.slice(0, 160);
}
