// Whether sound has a pitch between 70 and 400 Hz, as voices have: it resembles itself a period later.

const HALVED_HZ = 8000;
const SHORTEST = Math.floor(HALVED_HZ / 400);
const LONGEST = Math.ceil(HALVED_HZ / 70);
const SIZE = 320; // 40 ms: two periods of the lowest voice
const SIMILAR = 0.55;

export class Pitch {
  constructor() {
    this.samples = new Float32Array(SIZE);
  }

  // `block` is 16-bit sound at 16 kHz, and follows the last one.
  isIn(block) {
    const half = block.length >> 1;
    this.samples.copyWithin(0, half);
    for (let i = 0; i < half; i += 1) this.samples[SIZE - half + i] = (block[2 * i] + block[2 * i + 1]) / 65536;
    for (let lag = SHORTEST; lag <= LONGEST; lag += 1) if (this.likeness(lag) > SIMILAR) return true;
    return false;
  }

  likeness(lag) {
    const x = this.samples;
    const length = SIZE - LONGEST;
    let both = 0;
    let one = 0;
    let other = 0;
    for (let i = 0; i < length; i += 1) {
      both += x[i] * x[i + lag];
      one += x[i] * x[i];
      other += x[i + lag] * x[i + lag];
    }
    return both / Math.sqrt(one * other + 1e-9);
  }
}
