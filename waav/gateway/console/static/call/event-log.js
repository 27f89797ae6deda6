// Everything that passed in a call, for the inspector: kept up to a number, filtered, and given away as JSON.

const KEPT = 1000;

const KINDS = {
  stt_result: "transcript",
  speak: "speech",
  interrupt: "speech",
  flush: "speech",
  tts_playback_complete: "speech",
  error: "problem",
  audio: "audio",
};

export class EventLog {
  constructor() {
    this.entries = []; // {number, at (Date), direction, kind, message}
    this.number = 0;
    this.audio = { up: { frames: 0, bytes: 0 }, down: { frames: 0, bytes: 0 } };
  }

  // A message that went "up" to the gateway or came "down" from it; returns its entry.
  add(direction, message, at = new Date()) {
    this.number += 1;
    const kind = KINDS[message.type] ?? "call";
    const entry = { number: this.number, at, direction, kind, message };
    this.entries.push(entry);
    if (this.entries.length > KEPT) this.entries.shift();
    return entry;
  }

  // Audio is counted; what follows without a message between is one entry. Returns the entry, new or grown.
  addAudio(direction, bytes, at = new Date()) {
    this.audio[direction].frames += 1;
    this.audio[direction].bytes += bytes;
    const last = this.entries.findLast((entry) => entry.kind !== "audio" || entry.direction === direction);
    const entry = last?.kind === "audio" ? last : this.add(direction, { type: "audio", frames: 0, bytes: 0 }, at);
    entry.message.frames += 1;
    entry.message.bytes += bytes;
    return entry;
  }

  // Those of the kinds in the set `kinds` in which `text` occurs.
  filtered(kinds, text = "") {
    return this.entries.filter((entry) => matches(entry, kinds, text));
  }

  // What is kept, as a file of JSON.
  exported() {
    const rows = this.entries.map(({ at, direction, message }) => ({ at: at.toISOString(), direction, ...message }));
    return JSON.stringify(rows, null, 2);
  }

  clear() {
    this.entries = [];
  }
}

export function matches(entry, kinds, text) {
  if (!kinds.has(entry.kind)) return false;
  return !text || JSON.stringify(entry.message).toLowerCase().includes(text.toLowerCase());
}
