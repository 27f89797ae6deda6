// Sound in and out of the page. Moments are told on the page's clock, in milliseconds.
import { AudioTime } from "../measure/audio-time.js";
import { captureNode, playbackNode } from "./nodes.js";
import { fileSource, openMicrophone } from "./sources.js";

const AFTER_FILE_MS = 4000; // of silence, in which the end of speech is noticed

export class Sound {
  // `tell(event)` is told `{block, atMs}` of what is heard, `{started}`, `{ended}` and `{level}` of what is played (see
  // queue.js and player.js) with `atMs`, `{fileEnded}`, and `{unplugged}` when the microphone is gone.
  constructor(tell, now = () => performance.now()) {
    this.tell = tell;
    this.now = now;
    this.time = new AudioTime();
    this.context = null;
    this.stream = null; // of the microphone
    this.microphone = null; // its node
    this.file = null;
    this.isMuted = false;
    this.sink = "";
    this.again = null; // a turn that is played again
  }

  // Must be called from a click or a key press: browsers let pages sound only then.
  async open() {
    this.opening ??= this.build();
    try {
      await this.opening;
    } catch (error) {
      this.opening = null; // the gateway did not answer; it may do so next time
      throw error;
    }
    if (this.context.state !== "running") await this.context.resume();
  }

  async build() {
    this.context = new AudioContext({ latencyHint: "interactive" });
    this.ear = await captureNode(this.context, (block, atS) => this.heard(block, atS));
    this.mouth = await playbackNode(this.context, (event) => this.played(event));
    this.mouth.node.connect(this.context.destination);
    await this.useLoudspeaker(this.sink);
  }

  heard(block, atS) {
    this.time.seen(this.context.currentTime, this.now());
    const isSilent = this.isMuted && !this.file;
    const latencyMs = this.file ? 0 : (this.stream?.getAudioTracks()[0]?.getSettings().latency ?? 0) * 1000;
    this.tell({ block: isSilent ? new Int16Array(block.length) : block, atMs: this.time.pageMs(atS) - latencyMs });
  }

  played(event) {
    if ("level" in event) {
      this.tell(event);
      return;
    }
    this.time.seen(this.context.currentTime, this.now());
    const latencyS = this.context.outputLatency || this.context.baseLatency || 0;
    this.tell({ ...event, atMs: this.time.pageMs(event.atS + latencyS) });
  }

  get hasMicrophone() {
    return this.stream !== null;
  }

  // Whether anything is heard at all.
  get isHearing() {
    return this.hasMicrophone || this.file !== null;
  }

  async startMicrophone(options) {
    this.stopMicrophone();
    const stream = await openMicrophone(options);
    this.stream = stream;
    stream.getAudioTracks()[0].onended = () => {
      this.stopMicrophone();
      this.tell({ unplugged: true });
    };
    this.microphone = this.context.createMediaStreamSource(stream);
    if (!this.file) this.microphone.connect(this.ear);
  }

  stopMicrophone() {
    this.microphone?.disconnect();
    for (const track of this.stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    this.stream = this.microphone = null;
  }

  // Play a file into the call instead of the microphone, which goes on afterwards.
  async startFile(file) {
    this.stopFile();
    const source = await fileSource(this.context, file, () => {
      this.ending = setTimeout(() => {
        this.stopFile();
        this.tell({ fileEnded: true });
      }, AFTER_FILE_MS);
    });
    this.file = source;
    this.microphone?.disconnect();
    source.node.connect(this.ear);
    source.start();
  }

  stopFile() {
    clearTimeout(this.ending);
    this.file?.stop();
    this.file = null;
    this.microphone?.connect(this.ear);
  }

  // Neither microphone nor file.
  silence() {
    this.stopMicrophone();
    this.stopFile();
  }

  // Have 16-bit sound heard, after what waits already.
  play(id, pcm, rateHz) {
    this.mouth.order({ add: id, pcm, rateHz });
  }

  // Nothing more of `id` comes.
  end(id) {
    this.mouth.order({ end: id });
  }

  clear() {
    this.mouth?.order({ clear: true });
  }

  // Play something that was heard before, beside the call; `ended` is called when it is over, however that came.
  replay({ pcm, rateHz }, ended) {
    this.stopReplay();
    const buffer = this.context.createBuffer(1, Math.max(1, pcm.length), rateHz);
    buffer.getChannelData(0).set(Float32Array.from(pcm, (value) => value / 32768));
    this.again = this.context.createBufferSource();
    this.again.buffer = buffer;
    this.again.onended = ended;
    this.again.connect(this.context.destination);
    this.again.start();
  }

  stopReplay() {
    this.again?.stop();
    this.again = null;
  }

  // Be heard from the device `id`, "" for the default, where the browser lets pages choose.
  async useLoudspeaker(id) {
    this.sink = id;
    if (this.context?.setSinkId && (id || this.context.sinkId)) await this.context.setSinkId(id).catch(() => {});
  }
}
