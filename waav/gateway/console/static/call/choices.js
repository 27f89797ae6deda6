// What the person at the page has chosen, and the `config` message that says so to the gateway.
import { HEARD_HZ } from "../audio/blocks.js";

export const SPOKEN_HZ = 24000;

// Everything that is remembered from one visit to the next. Keys of vendors are not among it.
export const DEFAULTS = Object.freeze({
  stt: "", // empty: the gateway's own default
  sttModel: "",
  language: "en-US",
  sttOptions: "", // JSON
  tts: "",
  voice: "",
  ttsModel: "",
  ttsLanguage: "",
  speed: 1,
  ttsOptions: "",
  turnDetection: "", // "on" or "off"; empty: as the gateway is configured
  noiseFilter: "",
  bargeIn: true,
  echo: false,
  microphone: "", // device ids; empty: the browser's default
  loudspeaker: "",
  pushToTalk: false,
  echoCancellation: true,
  theme: "system",
});

// Changing one of these sets the call up anew.
export const ON_THE_WIRE = new Set([
  "stt", "sttModel", "language", "sttOptions", "tts", "voice", "ttsModel", "ttsLanguage", "speed", "ttsOptions",
  "turnDetection", "noiseFilter",
]);

// The message for these choices; `keys` are the caller's own, by vendor. Raises an error whose text says which field
// is wrong.
export function configMessage(choices, keys) {
  const listen = {
    provider: choices.stt,
    language: choices.language || DEFAULTS.language,
    sample_rate: HEARD_HZ,
    channels: 1,
    punctuation: true,
    encoding: "linear16",
  };
  const speak = { provider: choices.tts, audio_format: "linear16", sample_rate: SPOKEN_HZ };
  add(listen, { model: choices.sttModel, api_key: keys[choices.stt], options: options(choices.sttOptions, "Recognition") });
  add(speak, {
    voice_id: choices.voice,
    model: choices.ttsModel,
    language: choices.ttsLanguage,
    speaking_rate: Number(choices.speed) === 1 ? "" : Number(choices.speed),
    api_key: keys[choices.tts],
    options: options(choices.ttsOptions, "Voice"),
  });
  const message = { type: "config", audio: true, stt_config: listen, tts_config: speak };
  add(message, { turn_detection: flag(choices.turnDetection), noise_filter: flag(choices.noiseFilter) });
  return message;
}

// The message without what nobody else may read.
export function masked(message) {
  const copy = structuredClone(message);
  for (const half of [copy.stt_config, copy.tts_config]) if (half?.api_key) half.api_key = "***";
  return copy;
}

// The vendors that get to hear, or to read, something of the call; the gateway's own models are not among them.
export function outsiders({ stt, tts }) {
  return [...new Set([stt, tts])].filter((name) => name && name !== "local");
}

function add(message, fields) {
  for (const [name, value] of Object.entries(fields)) if (value !== "" && value != null) message[name] = value;
}

function flag(chosen) {
  return chosen ? chosen === "on" : null;
}

function options(text, half) {
  if (!text.trim()) return null;
  let value = null;
  try {
    value = JSON.parse(text);
  } catch {
    // told below, with what is no object
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new Error(`${half}: the vendor's options must be a JSON object such as {"endpoint_ms": 400}.`);
  }
  return value;
}
