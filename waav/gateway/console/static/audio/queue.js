// What is to be heard, in order: utterances whose sound comes in pieces, played without a gap between them.
import { Resampler } from "./resampler.js";

const FADE_S = 0.005; // sound that is cut off at once clicks

export class PlaybackQueue {
  // `tell(event)` is told `{started, atS}` with the first sample of an utterance, and `{ended, atS, heardMs}` after its
  // last, with `isCut` if it was cleared. Times are on the clock of `fill`.
  constructor(rateHz, tell) {
    this.rateHz = rateHz;
    this.tell = tell;
    this.items = []; // {id, samples} or {id, isEnd: true}
    this.offset = 0; // in the first item
    this.playing = null; // {id, frames}
    this.arriving = null; // {id, rateHz, resampler} of the utterance whose sound is coming
  }

  // `pcm` is 16-bit sound of `rateHz`.
  add(id, pcm, rateHz) {
    if (this.arriving?.id !== id || this.arriving.rateHz !== rateHz) {
      this.arriving = { id, rateHz, resampler: new Resampler(rateHz, this.rateHz) };
    }
    const samples = this.arriving.resampler.feed(Float32Array.from(pcm, (value) => value / 32768));
    if (samples.length > 0) this.items.push({ id, samples });
  }

  // Nothing more of this utterance comes.
  end(id) {
    this.items.push({ id, isEnd: true });
  }

  // Forget everything; what is being heard fades within 5 ms.
  clear(atS) {
    const tail = this.playing ? this.tail(atS) : null;
    if (this.playing) this.finish(atS + FADE_S, true);
    this.items = tail ? [{ id: null, samples: tail }] : [];
    this.offset = 0;
    this.arriving = null;
  }

  tail(atS) {
    const tail = new Float32Array(Math.round(FADE_S * this.rateHz));
    this.fill(tail, atS);
    return tail.map((value, i) => value * (1 - i / tail.length));
  }

  // Write the next samples, silence where there are none; true if any of them was sound.
  fill(out, atS) {
    let filled = 0;
    let hadSound = false;
    while (filled < out.length && this.items.length > 0) {
      const head = this.items[0];
      if (head.isEnd) {
        this.items.shift();
        if (this.playing?.id === head.id) this.finish(atS + filled / this.rateHz, false);
        continue;
      }
      this.begin(head.id, atS + filled / this.rateHz);
      const piece = head.samples.subarray(this.offset, this.offset + out.length - filled);
      out.set(piece, filled);
      hadSound = true;
      filled += piece.length;
      this.offset += piece.length;
      if (this.playing) this.playing.frames += piece.length;
      if (this.offset === head.samples.length) {
        this.items.shift();
        this.offset = 0;
      }
    }
    out.fill(0, filled);
    return hadSound;
  }

  begin(id, atS) {
    if (id === null || this.playing?.id === id) return;
    if (this.playing) this.finish(atS, false);
    this.playing = { id, frames: 0 };
    this.tell({ started: id, atS });
  }

  finish(atS, isCut) {
    const { id, frames } = this.playing;
    this.playing = null;
    this.tell({ ended: id, atS, heardMs: (frames / this.rateHz) * 1000, isCut });
  }
}
