import { BargeIn } from "/console/call/barge-in.js";
import { Call } from "/console/call/call.js";
import { Gateway } from "/console/call/gateway.js";
import { Turns } from "/console/call/turns.js";
import { Utterances } from "/console/call/utterances.js";
import { equal, matches, raises, test } from "./check.js";

const CONFIG = { type: "config", stt_config: { provider: "local", api_key: "secret" }, tts_config: { provider: "local" } };

// A socket whose other end the test plays, and a call over it.
class Line {
  constructor() {
    this.told = [];
    this.sent = [];
    this.audio = 0;
    this.time = 1000;
    this.call = new Call((event) => this.told.push(event), { connect: (url) => this.connect(url), now: () => this.time });
  }

  connect(url) {
    this.url = url;
    this.socket = {
      readyState: 0,
      send: (data) => (typeof data === "string" ? this.sent.push(JSON.parse(data)) : (this.audio += data.byteLength)),
      close: (code) => this.close(code ?? 1005),
    };
    return this.socket;
  }

  accept() {
    this.socket.readyState = 1;
    this.socket.onopen();
  }

  say(message) {
    this.socket.onmessage({ data: JSON.stringify(message) });
  }

  sound(size = 4) {
    this.socket.onmessage({ data: new ArrayBuffer(size) });
  }

  close(code, reason = "") {
    this.socket.readyState = 3;
    this.socket.onclose({ code, reason });
  }

  pongs() {
    for (const { type, timestamp } of this.sent.splice(0)) if (type === "ping") this.say({ type: "pong", timestamp });
  }

  // The events with this name.
  events(name) {
    return this.told.filter((event) => name in event).map((event) => event[name]);
  }

  async ready() {
    const opened = this.call.open("ws://x/ws", CONFIG);
    this.accept();
    this.say({ type: "ready" });
    await opened;
    this.pongs();
    this.told.length = 0;
    return this;
  }
}

test("call: it connects, sends the config first, and is ready when the gateway says so", async () => {
  const line = new Line();
  const opened = line.call.open("ws://x/ws", CONFIG);
  equal([line.call.state, line.call.isOpen], ["connecting", true]);
  line.accept();
  equal([line.sent[0], line.call.state], [CONFIG, "preparing"]);
  line.call.hear(new Int16Array(2)); // nobody listens yet
  line.say({ type: "ready", server_version: "2" });
  await opened;
  line.call.hear(new Int16Array(2));
  equal([line.call.state, line.audio, line.events("ready").length], ["ready", 4, 1]);
});

test("call: what is logged of a config holds no key", async () => {
  const line = new Line();
  line.call.open("ws://x/ws", CONFIG);
  line.accept();
  equal(line.events("sent")[0].stt_config.api_key, "***");
});

test("call: a refused config says why, and hangs up without calling that a lost connection", async () => {
  const line = new Line();
  const opened = line.call.open("ws://x/ws", CONFIG);
  line.accept();
  line.say({ type: "error", message: "no key", code: "missing_credentials" });
  line.pongs();
  const refusal = await opened.catch((error) => error);
  equal(refusal.message, "no key");
  await Promise.resolve();
  equal([line.call.state, line.events("closed")[0].wasOurs, line.events("problem")], ["idle", true, []]);
});

test("call: a model that is missing is told, and the call goes on", async () => {
  const line = new Line();
  const opened = line.call.open("ws://x/ws", CONFIG);
  line.accept();
  line.say({ type: "error", message: "no noise filter here", code: "model_missing" });
  line.say({ type: "ready" });
  await opened;
  equal([line.call.state, line.events("problem").length], ["ready", 1]);
});

test("call: an error beside a ready is told after it", async () => {
  const line = new Line();
  const opened = line.call.open("ws://x/ws", CONFIG);
  line.accept();
  line.say({ type: "error", message: "no DAG", code: "dag_not_enabled" });
  line.say({ type: "ready" });
  await opened;
  equal(line.events("problem")[0].message, "no DAG");
});

test("call: a connection that ends before it is ready, or later, is told with how it ended", async () => {
  const line = new Line();
  const opened = line.call.open("ws://x/ws", CONFIG);
  line.close(1006);
  equal((await opened.catch((error) => error)).closed, { code: 1006, reason: "", wasReady: false, wasOurs: false });
  const later = await new Line().ready();
  later.close(1001, "going away");
  equal(later.events("closed"), [{ code: 1001, reason: "going away", wasReady: true, wasOurs: false }]);
  equal(later.call.isOpen, false);
});

test("call: hanging up is ours, and the next call is a new one", async () => {
  const line = await new Line().ready();
  line.call.hangUp();
  equal(line.events("closed"), [{ code: 1000, reason: "", wasReady: true, wasOurs: true }]);
  await line.ready();
  line.close(1006);
  equal(line.events("closed"), [{ code: 1006, reason: "", wasReady: true, wasOurs: false }]);
});

test("call: sound and completions are named for the texts that they belong to", async () => {
  const line = await new Line().ready();
  line.call.say("a", "One.");
  line.call.say("b", "Two.");
  line.sound();
  line.say({ type: "tts_playback_complete" });
  line.sound();
  line.say({ type: "tts_playback_complete" });
  equal([line.events("sound").map(({ id }) => id), line.events("spoken")], [["a", "b"], ["a", "b"]]);
  equal(line.sent.map(({ text }) => text), ["One.", "Two."]);
});

test("call: after an interruption nothing that was on its way is heard, and what is said next is", async () => {
  const line = await new Line().ready();
  line.call.say("a", "One.");
  line.sound();
  line.call.interrupt();
  line.call.say("b", "Two.");
  line.sound(); // still of the first
  line.say({ type: "tts_playback_complete" });
  line.pongs();
  line.sound();
  line.say({ type: "tts_playback_complete" });
  equal(line.events("dropped"), [["a"]]);
  equal([line.events("sound").map(({ id }) => id), line.events("spoken")], [["a", null, "b"], ["b"]]);
});

test("call: an answer to an earlier interruption does not let the sound of a later one through", async () => {
  const line = await new Line().ready();
  line.call.interrupt();
  const [, first] = line.sent;
  line.call.interrupt();
  line.call.say("a", "One.");
  line.say({ type: "pong", timestamp: first.timestamp });
  line.sound();
  equal(line.events("sound")[0].id, null);
});

test("call: set up anew it drops what was being said, and a refusal of that is told as one", async () => {
  const line = await new Line().ready();
  line.call.say("a", "One.");
  const again = line.call.configure(CONFIG);
  equal([line.call.state, line.events("dropped")], ["preparing", [["a"]]]);
  line.say({ type: "error", message: "no such model", code: "bad_request" });
  line.pongs();
  equal((await again.catch((error) => error)).message, "no such model");
});

test("call: two changes in quick succession end with the second in force", async () => {
  const line = await new Line().ready();
  const first = line.call.configure(CONFIG);
  const second = line.call.configure(CONFIG);
  equal(await first.catch((error) => error), { superseded: true });
  line.say({ type: "ready" });
  await second;
  equal(line.call.state, "ready");
});

test("call: transcripts and errors in a call are told, and letting go of push to talk asks for the final", async () => {
  const line = await new Line().ready();
  line.call.finish();
  equal(line.sent, [{ type: "flush" }]);
  line.say({ type: "stt_result", transcript: "hi" });
  line.say({ type: "error", message: "lost", code: "provider_lost" });
  equal([line.events("heard")[0].transcript, line.events("problem")[0].message], ["hi", "lost"]);
});

test("utterances: nothing arrives for nobody, and a late completion completes nothing", () => {
  const utterances = new Utterances();
  equal([utterances.arriving, utterances.complete()], [null, null]);
  utterances.asked("a");
  equal(utterances.drop(7), ["a"]);
  utterances.asked("b");
  equal([utterances.arriving, utterances.complete()], [null, null]);
  utterances.passed(6);
  equal(utterances.arriving, null);
  utterances.passed(7);
  equal([utterances.arriving, utterances.complete(), utterances.arriving], ["b", "b", null]);
});

const result = (transcript, is_final = false, is_speech_final = false, forced = false) => ({ transcript, is_final, is_speech_final, forced });

test("turns: partials change in place, finals add up, and a speech-final ends the turn", () => {
  const turns = new Turns();
  const first = turns.take(result("hel"));
  equal([first.text, first.isOver], ["hel", false]);
  equal(turns.take(result("hello")).text, "hello");
  equal(turns.take(result("Hello.", true)).text, "Hello.");
  equal(turns.take(result("how")).text, "Hello. how");
  const last = turns.take(result("How are you?", true, true));
  equal([last.text, last.isOver, last.id === first.id], ["Hello. How are you?", true, true]);
  equal(turns.take(result("next")).id === first.id, false);
});

test("turns: a forced end repeats the turn, it does not double it; an empty one ends what there is", () => {
  const turns = new Turns();
  turns.take(result("One", true));
  turns.take(result("two", true));
  equal(turns.take(result("One two", true, true, true)).text, "One two");
  turns.take(result("Three", true));
  equal(turns.take(result("", true, true)), { id: "you-2", text: "Three", isOver: true });
});

test("turns: silence says nothing", () => {
  equal([new Turns().take(result("")), new Turns().take(result(" ", true, true))], [null, null]);
});

function bargeIn({ isOn = true, isHeard = true } = {}) {
  const causes = [];
  return { causes, bargeIn: new BargeIn({ isOn: () => isOn, isHeard: () => isHeard, interrupt: (cause) => causes.push(cause) }) };
}

test("interrupting: a voice, a partial or a final does it, whichever comes first", () => {
  const { causes, bargeIn: speaker } = bargeIn();
  speaker.voice();
  speaker.text(result("wait"));
  speaker.text(result("Wait.", true));
  equal(causes, ["voice", "partial", "final"]);
});

test("interrupting: nothing is interrupted that is not being heard, and nothing if it is switched off", () => {
  for (const how of [{ isHeard: false }, { isOn: false }]) {
    const { causes, bargeIn: speaker } = bargeIn(how);
    speaker.voice();
    speaker.text(result("wait"));
    equal(causes, []);
  }
});

test("interrupting: no words, or words that only repeat the turn, interrupt nothing", () => {
  const { causes, bargeIn: speaker } = bargeIn();
  speaker.text(result(" ", true));
  speaker.text(result("what was said", true, true, true));
  equal(causes, []);
});

function answering(answers) {
  const asked = [];
  const ask = async (url, { headers }) => {
    asked.push([url.href, headers]);
    const body = answers[url.pathname];
    if (body === undefined) throw new TypeError("Failed to fetch");
    return new Response(JSON.stringify(body), { status: body.message ? 400 : 200 });
  };
  return { asked, gateway: new Gateway(new URL("https://example.com/voice/"), ask) };
}

test("gateway: calls and routes are found wherever the page was served, also below a path and over TLS", async () => {
  const { asked, gateway } = answering({ "/voice/": { version: "2.0.0" }, "/voice/providers": { stt: [] } });
  equal([gateway.callUrl, await gateway.version(), await gateway.providers()], ["wss://example.com/voice/ws", "2.0.0", { stt: [] }]);
  equal(asked[0][0], "https://example.com/voice/");
  equal(new Gateway(new URL("http://localhost:3001/")).callUrl, "ws://localhost:3001/ws");
});

test("gateway: one that does not answer has no version", async () => {
  equal(await answering({}).gateway.version(), null);
});

test("gateway: voices are asked for with one's own key, and where there are none the reason comes along", async () => {
  const { asked, gateway } = answering({ "/voice/voices": { acme: [{ id: "a" }], errors: { brook: "no key" } } });
  equal(await gateway.voices("acme", "k"), { voices: [{ id: "a" }], reason: "" });
  equal(asked[0], ["https://example.com/voice/voices?provider=acme&verbose=true", { "x-provider-api-key": "k" }]);
  equal(await gateway.voices("brook"), { voices: [], reason: "no key" });
  equal(asked[1][1], {});
});

test("gateway: its errors are its words", async () => {
  const { gateway } = answering({ "/voice/voices": { message: "Unsupported provider: x" } });
  await raises(() => gateway.voices("x"), /Unsupported provider: x/);
  matches((await gateway.get("nowhere").catch((error) => error)).message, /Failed to fetch/);
});
