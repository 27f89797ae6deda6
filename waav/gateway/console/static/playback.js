// Runs on the audio thread: plays 16-bit PCM of any rate in the order it came; "clear" forgets what is queued.
class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.queue = [];
    this.offset = 0; // position in queue[0], in source samples, fractional
    this.turn = 0;
    this.started = -1; // the turn whose first sample was reported
    this.playing = false;
    this.port.onmessage = ({ data }) => {
      if (data.clear) {
        this.queue = [];
        this.offset = 0;
      } else {
        this.queue.push({ samples: data.samples, step: data.rate / sampleRate, turn: data.turn });
      }
    };
  }

  next() {
    while (this.queue.length > 0) {
      const head = this.queue[0];
      const at = Math.floor(this.offset);
      if (at < head.samples.length) {
        if (head.turn !== this.started) {
          this.started = head.turn;
          this.port.postMessage({ started: head.turn, at: currentTime });
        }
        const here = head.samples[at];
        const following = at + 1 < head.samples.length ? head.samples[at + 1]
          : this.queue.length > 1 ? this.queue[1].samples[0] : here;
        const value = here + (following - here) * (this.offset - at);
        this.offset += head.step;
        return value;
      }
      this.offset -= head.samples.length;
      this.queue.shift();
    }
    return null;
  }

  process(inputs, outputs) {
    const [out] = outputs[0];
    let energy = 0;
    let any = false;
    for (let i = 0; i < out.length; i += 1) {
      const value = this.next();
      if (value !== null) any = true;
      out[i] = value === null ? 0 : value;
      energy += out[i] * out[i];
    }
    for (let c = 1; c < outputs[0].length; c += 1) outputs[0][c].set(out);
    if (any !== this.playing || (any && energy > 0)) {
      this.port.postMessage({ playing: any, energy, frames: out.length });
    }
    this.playing = any;
    return true;
  }
}

registerProcessor("playback", Playback);
