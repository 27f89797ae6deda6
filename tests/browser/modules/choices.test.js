import { configMessage, DEFAULTS, masked, outsiders } from "/console/call/choices.js";
import { EventLog } from "/console/call/event-log.js";
import { recall, remember } from "/console/call/memory.js";
import { modelsState } from "/console/view/gateway-view.js";
import { equal, raises, test } from "./check.js";

const chosen = (changes) => ({ ...DEFAULTS, stt: "local", tts: "local", ...changes });

test("choices: untouched, the call asks for nothing but the vendors and its formats", () => {
  equal(configMessage(chosen({}), {}), {
    type: "config",
    audio: true,
    stt_config: { provider: "local", language: "en-US", sample_rate: 16000, channels: 1, punctuation: true, encoding: "linear16" },
    tts_config: { provider: "local", audio_format: "linear16", sample_rate: 24000 },
  });
});

test("choices: each of them gets into the call", () => {
  const message = configMessage(chosen({
    stt: "acme", sttModel: "m1", language: "de-DE", sttOptions: '{"endpoint_ms": 400}',
    tts: "brook", voice: "v", ttsModel: "m2", ttsLanguage: "fr-FR", speed: 1.25, ttsOptions: '{"a": 1}',
    turnDetection: "on", noiseFilter: "off",
  }), { acme: "k1", brook: "k2", other: "k3" });
  const { stt_config: listen, tts_config: speak } = message;
  equal([listen.provider, listen.model, listen.language, listen.options, listen.api_key], ["acme", "m1", "de-DE", { endpoint_ms: 400 }, "k1"]);
  equal([speak.provider, speak.voice_id, speak.model, speak.language, speak.speaking_rate, speak.options, speak.api_key], ["brook", "v", "m2", "fr-FR", 1.25, { a: 1 }, "k2"]);
  equal([message.turn_detection, message.noise_filter], [true, false]);
});

test("choices: options that are no object are told with the field they stand in", async () => {
  for (const text of ["{", "[1]", "3", "null"]) {
    await raises(() => configMessage(chosen({ sttOptions: text }), {}), /^Recognition: .* JSON object/);
  }
  await raises(() => configMessage(chosen({ ttsOptions: "x" }), {}), /^Voice: /);
});

test("choices: keys are masked in what is shown, and stay in what is sent", () => {
  const message = configMessage(chosen({ stt: "acme" }), { acme: "k1" });
  equal([masked(message).stt_config.api_key, message.stt_config.api_key], ["***", "k1"]);
});

test("choices: audio goes to this gateway only if both halves are its own", () => {
  equal(outsiders({ stt: "local", tts: "local" }), []);
  equal(outsiders({ stt: "acme", tts: "local" }), ["acme"]);
  equal(outsiders({ stt: "local", tts: "acme" }), ["acme"]);
  equal(outsiders({ stt: "acme", tts: "acme" }), ["acme"]);
});

function storage(text = null) {
  const kept = { text };
  return { kept, getItem: () => kept.text, setItem: (name, value) => (kept.text = value) };
}

test("memory: choices come back on the next visit", () => {
  const store = storage();
  const choices = chosen({ echo: true, speed: 0.8, theme: "dark" });
  remember(store, choices);
  equal(recall(store), choices);
});

test("memory: no key of a vendor is ever in it", () => {
  const store = storage();
  remember(store, { ...chosen({}), keys: { acme: "secret" }, apiKey: "secret" });
  equal(store.kept.text.includes("secret"), false);
});

test("memory: what is broken, of another kind or not ours is as if it had never been there", () => {
  equal(recall(storage("{")), DEFAULTS);
  equal(recall(storage("3")), DEFAULTS);
  equal(recall(storage('{"speed": "fast", "echo": true, "apiKey": "x"}')), { ...DEFAULTS, echo: true });
});

test("memory: a browser that keeps nothing is no error", () => {
  const refuses = () => {
    throw new DOMException("denied", "SecurityError");
  };
  remember({ setItem: refuses }, DEFAULTS);
  equal(recall({ getItem: refuses }), DEFAULTS);
});

const AT = new Date("2026-11-30T12:00:00.000Z");

test("events: each kind can be hidden, and text is found whatever its case", () => {
  const log = new EventLog();
  for (const type of ["config", "stt_result", "speak", "error", "pong", "tts_playback_complete", "interrupt"]) log.add("up", { type, text: `about ${type}` }, AT);
  const types = (kinds, text) => log.filtered(new Set(kinds), text).map(({ message }) => message.type);
  equal(types(["transcript"]), ["stt_result"]);
  equal(types(["speech"]), ["speak", "tts_playback_complete", "interrupt"]);
  equal(types(["problem"]), ["error"]);
  equal(types(["call"]), ["config", "pong"]);
  equal(types(["call", "speech"], "ABOUT S"), ["speak"]);
});

test("events: audio is counted, one entry for all that comes without a message between", () => {
  const log = new EventLog();
  log.addAudio("up", 640, AT);
  log.addAudio("down", 480, AT);
  log.addAudio("up", 640, AT);
  equal(log.entries.map(({ direction, message }) => [direction, message.frames, message.bytes]), [["up", 2, 1280], ["down", 1, 480]]);
  log.add("down", { type: "stt_result" }, AT);
  log.addAudio("up", 640, AT);
  equal([log.entries.length, log.audio.up, log.audio.down], [4, { frames: 3, bytes: 1920 }, { frames: 1, bytes: 480 }]);
});

test("events: they can be taken away as JSON, with when and which way", () => {
  const log = new EventLog();
  log.add("down", { type: "ready", stream_id: "x" }, AT);
  equal(JSON.parse(log.exported()), [{ at: "2026-11-30T12:00:00.000Z", direction: "down", type: "ready", stream_id: "x" }]);
});

test("events: a call of hours does not fill the memory", () => {
  const log = new EventLog();
  for (let i = 0; i < 1500; i += 1) log.add("down", { type: "pong", i }, AT);
  equal([log.entries.length, log.entries[0].message.i], [1000, 500]);
  log.clear();
  equal(log.entries, []);
});

test("models: the light shows the worst of them; what is switched off is as it should be", () => {
  equal(modelsState({ a: "ready", b: "off: timers end the turns" }), "ready");
  equal(modelsState({ a: "ready", b: "loading: wait" }), "loading");
  equal(modelsState({ a: "missing: x", b: "loading: y" }), "missing");
  equal(modelsState({ a: "missing: x", b: "broken: y" }), "broken");
});
