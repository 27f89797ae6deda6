// Runs on the audio thread: mono float samples in blocks of about 20 ms, as 16-bit little-endian PCM.
class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.size = Math.max(128, Math.round(sampleRate / 50));
    this.block = new Int16Array(this.size);
    this.filled = 0;
    this.sum = 0;
  }

  process(inputs) {
    const channels = inputs[0];
    if (!channels || channels.length === 0) return true;
    const length = channels[0].length;
    for (let i = 0; i < length; i += 1) {
      let sample = 0;
      for (const channel of channels) sample += channel[i];
      sample = Math.max(-1, Math.min(1, sample / channels.length));
      this.sum += sample * sample;
      this.block[this.filled] = Math.round(sample * 32767);
      this.filled += 1;
      if (this.filled === this.size) {
        const rms = Math.sqrt(this.sum / this.size);
        this.port.postMessage({ pcm: this.block.buffer, rms }, [this.block.buffer]);
        this.block = new Int16Array(this.size);
        this.filled = 0;
        this.sum = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
