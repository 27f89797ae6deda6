// What is being heard now: what the loudspeaker has begun and not finished, whatever was sent or received meanwhile.

export class PlaybackClock {
  constructor() {
    this.current = null; // {id, fromMs}
    this.endedAtMs = -Infinity;
  }

  // The first sample of `id` leaves the loudspeaker at `atMs`.
  started(id, atMs) {
    this.current = { id, fromMs: atMs };
  }

  // Its last one does.
  ended(id, atMs) {
    if (this.current?.id !== id) return;
    this.current = null;
    this.endedAtMs = atMs;
  }

  // It was silenced.
  clear() {
    this.current = null;
    this.endedAtMs = -Infinity;
  }

  // The loudspeaker is behind: what has just been handed over is heard only from `fromMs` to `endedAtMs`.
  isHeard(nowMs) {
    return this.current ? nowMs >= this.current.fromMs : nowMs < this.endedAtMs;
  }
}
