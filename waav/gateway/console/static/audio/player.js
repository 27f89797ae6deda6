// The loudspeaker's end of the page: a queue that takes orders, and tells how loud it is.
import { decibels } from "./level.js";
import { PlaybackQueue } from "./queue.js";

const LEVEL_S = 0.02;

export class Player {
  // Beside the queue's events, `tell` is told `{level}` in decibels, for every 20 ms of sound and once for silence.
  constructor(rateHz, tell) {
    this.tell = tell;
    this.queue = new PlaybackQueue(rateHz, tell);
    this.size = Math.round(LEVEL_S * rateHz);
    this.energy = 0;
    this.counted = 0;
    this.wasSound = false;
  }

  // One of `{add, pcm, rateHz}`, `{end}` and `{clear}`; ids of utterances in `add` and `end`.
  order(order, nowS) {
    if ("add" in order) this.queue.add(order.add, order.pcm, order.rateHz);
    else if ("end" in order) this.queue.end(order.end);
    else this.queue.clear(nowS);
  }

  // Fill the channels with what comes next.
  play(channels, atS) {
    const [out] = channels;
    const isSound = this.queue.fill(out, atS);
    for (const channel of channels.slice(1)) channel.set(out);
    if (!isSound && !this.wasSound) return;
    for (let i = 0; i < out.length; i += 1) this.energy += out[i] * out[i];
    this.counted += out.length;
    if (this.counted < this.size && isSound) return;
    this.tell({ level: decibels(Math.sqrt(this.energy / this.counted)) });
    this.wasSound = isSound;
    this.energy = 0;
    this.counted = 0;
  }
}
