// The clock of the sound card, told on the page's. The page sees it go in steps, and late by as much as it is busy, but
// never early. So of all looks the one that found it furthest ahead tells how the clocks stand.

const WINDOW_MS = 10000; // the clocks drift apart; older looks do not count

export class AudioTime {
  constructor() {
    this.best = Infinity; // page time less sound time, in this window
    this.before = Infinity; // in the last window
    this.windowFrom = -Infinity;
  }

  // The sound card's clock shows `audioS` at `nowMs`.
  seen(audioS, nowMs) {
    if (nowMs - this.windowFrom > WINDOW_MS) {
      this.before = this.best;
      this.best = Infinity;
      this.windowFrom = nowMs;
    }
    this.best = Math.min(this.best, nowMs - audioS * 1000);
  }

  // The page's time of a moment of sound.
  pageMs(audioS) {
    return audioS * 1000 + Math.min(this.best, this.before);
  }
}
