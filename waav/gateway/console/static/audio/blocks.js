// Sound of any rate and number of channels becomes mono blocks of 20 ms, 16 kHz, 16-bit: what the gateway is sent,
// and what the page itself listens to.
import { Resampler } from "./resampler.js";

export const HEARD_HZ = 16000;
export const BLOCK_MS = 20;
const SIZE = (HEARD_HZ * BLOCK_MS) / 1000;

export class Blocks {
  // `take(block, endedAtS)` is given each block, and when its last sample was heard, on the clock of `feed`.
  constructor(rateHz, take) {
    this.rateHz = rateHz;
    this.resampler = new Resampler(rateHz, HEARD_HZ);
    this.take = take;
    this.block = new Int16Array(SIZE);
    this.filled = 0;
  }

  // `channels` are arrays of one length; `atS` is when their first sample was heard.
  feed(channels, atS) {
    const mono = mixed(channels);
    const samples = this.resampler.feed(mono);
    const endS = atS + mono.length / this.rateHz;
    for (let i = 0; i < samples.length; i += 1) {
      this.block[this.filled] = Math.round(Math.max(-1, Math.min(1, samples[i])) * 32767);
      this.filled += 1;
      if (this.filled === SIZE) {
        this.take(this.block, endS - (samples.length - i - 1) / HEARD_HZ);
        this.block = new Int16Array(SIZE);
        this.filled = 0;
      }
    }
  }
}

function mixed(channels) {
  if (channels.length === 1) return channels[0];
  const mono = new Float32Array(channels[0].length);
  for (const channel of channels) {
    for (let i = 0; i < mono.length; i += 1) mono[i] += channel[i] / channels.length;
  }
  return mono;
}
