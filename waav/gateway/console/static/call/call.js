// One call to the gateway over /ws, as any client would make it.
import { masked } from "./choices.js";
import { Utterances } from "./utterances.js";

const OPENING_MS = 20000;
const UNTOLD = Object.freeze({ type: "error", message: "the config was neither accepted nor refused", code: "" });

export class Call {
  // `tell(event)` is told what happens, each event an object with one of these names:
  //   state: "connecting", "preparing", "ready" or "idle"        sent, received: a message, for the log
  //   ready, heard: the message `ready`, a `stt_result`          sound: {id, pcm}, speech of a text
  //   spoken: id of a text whose speech is complete              problem: an `error` that the call survives
  //   dropped: ids of texts that will not be said                closed: {code, reason, wasReady, wasOurs}
  constructor(tell, { connect = (url) => new WebSocket(url), now = () => Date.now() } = {}) {
    this.tell = tell;
    this.connect = connect;
    this.now = now;
    this.socket = null;
    this.settling = null; // the config that is being carried out: {token, error, resolve, reject}
    this.utterances = new Utterances();
    this.token = 0;
    this.state = "idle";
  }

  get isOpen() {
    return this.state !== "idle";
  }

  // Connect, and set the call up. Resolves when it is ready; what is refused rejects with the gateway's message, and a
  // connection that ends before that with what ended it.
  open(url, config) {
    this.enter("connecting");
    this.wasReady = this.wasOurs = false;
    const socket = this.connect(url);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => socket.close(), OPENING_MS);
      socket.onopen = () => {
        clearTimeout(late);
        this.configure(config).then(resolve, (error) => {
          reject(error);
          this.hangUp();
        });
      };
      socket.onmessage = ({ data }) => (data instanceof ArrayBuffer ? this.sound(data) : this.receive(JSON.parse(data)));
      socket.onclose = ({ code, reason }) => {
        clearTimeout(late);
        const end = { code, reason, wasReady: this.wasReady, wasOurs: this.wasOurs };
        this.settle("reject", { closed: end });
        reject({ closed: end });
        this.ended(end);
      };
    });
  }

  // Set the call up, or up anew. Messages are carried out in order, so whatever came of the config has been told when
  // the ping behind it is answered.
  configure(config) {
    this.settle("reject", { superseded: true });
    this.enter("preparing");
    this.post(config);
    const token = this.drop();
    return new Promise((resolve, reject) => {
      this.settling = { token, error: null, resolve, reject };
    });
  }

  // Have `text` said; its sound comes under `id`.
  say(id, text) {
    this.utterances.asked(id);
    this.post({ type: "speak", text, flush: true, allow_interruption: true });
  }

  // Stop what is being said, and drop what was to be said.
  interrupt() {
    if (!this.socket) return;
    this.post({ type: "interrupt" });
    this.drop();
  }

  // Ask for the final of what was heard so far.
  finish() {
    this.post({ type: "flush" });
  }

  hear(block) {
    if (this.state === "ready" && this.socket.readyState === 1) this.socket.send(block);
  }

  hangUp() {
    this.wasOurs = true;
    this.socket?.close(1000);
  }

  drop() {
    this.token = Math.max(this.token + 1, this.now());
    const dropped = this.utterances.drop(this.token);
    this.post({ type: "ping", timestamp: this.token });
    if (dropped.length > 0) this.tell({ dropped });
    return this.token;
  }

  sound(data) {
    const id = this.utterances.arriving;
    this.tell({ sound: { id, pcm: new Int16Array(data, 0, data.byteLength >> 1) } });
  }

  receive(message) {
    this.tell({ received: message });
    switch (message.type) {
      case "ready":
        this.wasReady = true;
        this.enter("ready");
        this.tell({ ready: message });
        this.settle("resolve", message);
        break;
      case "pong":
        this.utterances.passed(message.timestamp);
        if (message.timestamp === this.settling?.token) this.settle("reject", this.settling.error ?? UNTOLD);
        break;
      case "stt_result":
        this.tell({ heard: message });
        break;
      case "tts_playback_complete":
        this.completed(this.utterances.complete());
        break;
      case "error":
        this.wrong(message);
        break;
      default:
    }
  }

  completed(id) {
    if (id !== null) this.tell({ spoken: id });
  }

  // While a config is carried out an error is why it was refused, unless it only says what the call goes on without.
  wrong(message) {
    if (this.settling && message.code !== "model_missing") this.settling.error = message;
    else this.tell({ problem: message });
  }

  settle(how, value) {
    const { settling } = this;
    this.settling = null;
    if (how === "resolve" && settling?.error) this.tell({ problem: settling.error });
    settling?.[how](value);
  }

  ended(end) {
    this.socket = null;
    const dropped = this.utterances.drop(null);
    if (dropped.length > 0) this.tell({ dropped });
    this.enter("idle");
    this.tell({ closed: end });
  }

  enter(state) {
    this.state = state;
    this.tell({ state });
  }

  post(message) {
    if (this.socket?.readyState !== 1) return;
    this.socket.send(JSON.stringify(message));
    this.tell({ sent: masked(message) });
  }
}
