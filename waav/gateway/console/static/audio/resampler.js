// Converts a stream of samples from one rate to another: a windowed sinc that lets nothing through above half of
// the lower rate. What repeated or linearly joined samples would add to speech is heard as hiss.

const CROSSINGS = 16; // zero crossings of the sinc on each side
const PHASES = 480; // exact from every usual rate to 16 kHz, and from vendors' rates to 48 kHz
const PASSBAND = 0.94; // of the lower Nyquist frequency

const kernels = new Map(); // by cutoff: an utterance must not wait for its table

export class Resampler {
  constructor(fromHz, toHz) {
    this.step = fromHz / toHz;
    const cutoff = Math.min(1, toHz / fromHz) * PASSBAND;
    this.half = Math.ceil(CROSSINGS / cutoff);
    this.kernel = kernels.get(cutoff) ?? kernel(cutoff, this.half);
    kernels.set(cutoff, this.kernel);
    this.samples = new Float32Array(this.half); // before the first sample there was silence
    this.given = 0; // outputs
    this.dropped = -this.half; // samples that are not in `samples` any more
  }

  // The output that `input` makes possible; the rest comes with the next input.
  feed(input) {
    if (this.step === 1) return input;
    const samples = new Float32Array(this.samples.length + input.length);
    samples.set(this.samples);
    samples.set(input, this.samples.length);
    const last = samples.length - this.half - 1;
    const output = new Float32Array(Math.max(0, Math.floor((last - this.at) / this.step) + 1));
    for (let i = 0; i < output.length; i += 1) {
      output[i] = this.sample(samples, this.at);
      this.given += 1;
    }
    const used = Math.max(0, Math.floor(this.at) - this.half);
    this.samples = samples.slice(used);
    this.dropped += used;
    return output;
  }

  // Where in `samples` the next output lies. Counted from the beginning each time, so that pieces add no error.
  get at() {
    return this.given * this.step - this.dropped;
  }

  sample(samples, at) {
    let whole = Math.floor(at);
    let phase = Math.round((at - whole) * PHASES);
    if (phase === PHASES) {
      phase = 0;
      whole += 1;
    }
    const taps = this.kernel[phase];
    const first = whole - this.half + 1;
    let sum = 0;
    for (let i = 0; i < taps.length; i += 1) sum += taps[i] * samples[first + i];
    return sum;
  }
}

// For each phase the weights of the samples around it, adding up to 1.
function kernel(cutoff, half) {
  const phases = [];
  for (let phase = 0; phase < PHASES; phase += 1) {
    const taps = new Float32Array(2 * half);
    let sum = 0;
    for (let i = 0; i < taps.length; i += 1) {
      const x = i - half + 1 - phase / PHASES;
      const angle = Math.PI * cutoff * x;
      const sinc = angle === 0 ? 1 : Math.sin(angle) / angle;
      const window = Math.abs(x) < half ? 0.5 + 0.5 * Math.cos((Math.PI * x) / half) : 0;
      taps[i] = sinc * window;
      sum += taps[i];
    }
    phases.push(taps.map((tap) => tap / sum));
  }
  return phases;
}
