// Sound in and out of the page, through two audio worklets.

export class Sound {
  constructor({ heard, started, played }) {
    this.heard = heard;
    this.started = started;
    this.played = played;
    this.context = null;
    this.input = null;
    this.stream = null;
    this.quietSince = performance.now();
  }

  get rate() {
    return this.context.sampleRate;
  }

  // Must be called from a click or key press: browsers start audio only then.
  async open() {
    this.opening ??= this.build();
    await this.opening;
    if (this.context.state !== "running") await this.context.resume();
  }

  async build() {
    this.context = new AudioContext({ latencyHint: "interactive" });
    await this.context.audioWorklet.addModule("/console/capture.js");
    await this.context.audioWorklet.addModule("/console/playback.js");
    this.capture = new AudioWorkletNode(this.context, "capture", { numberOfOutputs: 0 });
    this.capture.port.onmessage = ({ data }) => this.heard(data.pcm, data.rms);
    this.output = new AudioWorkletNode(this.context, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
    this.output.connect(this.context.destination);
    this.output.port.onmessage = ({ data }) => {
      if ("started" in data) {
        const delay = (this.context.outputLatency || this.context.baseLatency || 0) * 1000;
        this.started(data.started, performance.now() + delay);
      } else if (data.playing && data.energy > 1e-6) {
        this.played((data.frames / this.context.sampleRate) * 1000);
      }
    };
  }

  async microphone() {
    if (!navigator.mediaDevices) {
      throw new Error("The microphone needs HTTPS, or http://localhost. A sound file works here.");
    }
    this.silence();
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: true, noiseSuppression: false, autoGainControl: true },
      });
    } catch (error) {
      throw new Error(`The microphone cannot be used: ${error.message}`);
    }
    this.input = this.context.createMediaStreamSource(this.stream);
    this.input.connect(this.capture);
  }

  // Plays the file into the call in real time, then silence so that the end of speech is noticed.
  async file(file) {
    this.silence();
    let buffer;
    try {
      buffer = await this.context.decodeAudioData(await file.arrayBuffer());
    } catch {
      throw new Error(`${file.name} is not a sound file this browser can read.`);
    }
    const player = this.context.createBufferSource();
    player.buffer = buffer;
    this.input = this.context.createGain();
    player.connect(this.input);
    this.input.connect(this.capture);
    // Without a running source the worklet is given no input at all, and no silence would be sent.
    this.hum = this.context.createConstantSource();
    this.hum.offset.value = 0;
    this.hum.connect(this.input);
    this.hum.start();
    player.start();
  }

  silence() {
    this.input?.disconnect();
    this.hum?.stop();
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.input = null;
    this.hum = null;
    this.stream = null;
  }

  play(data, rate, turn) {
    const pcm = new Int16Array(data, 0, Math.floor(data.byteLength / 2));
    const samples = new Float32Array(pcm.length);
    for (let i = 0; i < pcm.length; i += 1) samples[i] = pcm[i] / 32768;
    this.output.port.postMessage({ samples, rate, turn }, [samples.buffer]);
  }

  clear() {
    this.output?.port.postMessage({ clear: true });
  }
}
