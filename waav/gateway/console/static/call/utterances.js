// What the gateway was asked to say and has not finished sending: audio carries no name, but it comes in the order of
// asking, and each text is completed by a message.

export class Utterances {
  constructor() {
    this.waiting = []; // ids
    this.fence = null;
  }

  asked(id) {
    this.waiting.push(id);
  }

  // Whose audio has just arrived; null: of something that was dropped.
  get arriving() {
    return this.fence === null ? (this.waiting[0] ?? null) : null;
  }

  // The text whose audio was arriving is complete; its id, or null if it was dropped.
  complete() {
    return this.fence === null ? (this.waiting.shift() ?? null) : null;
  }

  // Everything is dropped. What still arrives of it comes before the answer to a ping, sent after whatever told the
  // gateway to drop it: `token`.
  drop(token) {
    const dropped = this.waiting;
    this.waiting = [];
    this.fence = token;
    return dropped;
  }

  // The answer to a ping: from here on, what arrives was asked for since.
  passed(token) {
    if (token === this.fence) this.fence = null;
  }
}
