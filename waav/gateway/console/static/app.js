// The console: one call to this gateway over /ws, as any client would make it. No build step, no other host.
import { Latency } from "./latency.js";
import { Inspector } from "./inspector.js";
import { Sound } from "./sound.js";

const $ = (id) => document.getElementById(id);
const LOUD = 0.012; // RMS from which a block counts as speech, for the latency picture only
const SPEAK_RATE = 24000;

const inspector = new Inspector($("events"), $("counts"), $("pause"), $("hide-audio"));
const latency = new Latency($("turns"));
const sound = new Sound({ heard, started: (turn, at) => latency.played(turn, at), played });

let socket = null;
let ready = null; // promise of the current call being configured
let source = null; // "microphone", "file" or null
let speakTurn = 0;
let muted = false; // after an interruption: drop what was already on its way
let speaking = false;
let playedMs = 0;

function show(state, text) {
  $("state").dataset.state = state;
  $("state").textContent = text;
}

function problem(text) {
  $("problem").hidden = !text;
  $("problem").textContent = text || "";
}

function send(message) {
  if (socket?.readyState !== WebSocket.OPEN) return;
  socket.send(JSON.stringify(message));
  inspector.add("up", message);
}

function config() {
  const [provider, voice] = JSON.parse($("voice").value || '["local",""]');
  const recogniser = $("stt").value || "local";
  const key = $("key").value;
  const listen = {
    provider: recogniser, language: "en-US", sample_rate: sound.rate, channels: 1,
    punctuation: true, encoding: "linear16",
  };
  const speak = { provider, audio_format: "linear16", sample_rate: SPEAK_RATE };
  if (voice) speak.voice_id = voice;
  if (key && recogniser !== "local") listen.api_key = key;
  if (key && provider !== "local") speak.api_key = key;
  return { type: "config", audio: true, stt_config: listen, tts_config: speak };
}

function masked(message) {
  const copy = structuredClone(message);
  for (const part of [copy.stt_config, copy.tts_config]) if (part?.api_key) part.api_key = "***";
  return copy;
}

async function call() {
  await sound.open();
  if (ready) return ready;
  ready = new Promise((resolve, reject) => {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    socket = new WebSocket(`${scheme}//${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    let isReady = false;
    show("busy", "connecting");
    socket.onopen = () => {
      const message = config();
      socket.send(JSON.stringify(message));
      inspector.add("up", masked(message));
      show("busy", "preparing");
    };
    socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) return audio(data);
      const message = JSON.parse(data);
      inspector.add(message.type === "error" ? "bad" : "down", message);
      if (message.type === "ready") {
        isReady = true;
        show("ready", "connected");
        $("hangup").disabled = false;
        $("interrupt").disabled = false;
        resolve();
      } else if (message.type === "error" && !isReady) {
        reject(new Error(message.message));
        socket.close(1000);
      }
      receive(message);
    };
    socket.onclose = ({ code, reason }) => {
      inspector.add("down", { type: "closed", code, reason });
      const wasOurs = code === 1000 || code === 1005;
      show(wasOurs ? "idle" : "error", wasOurs ? "not connected" : `connection closed (${code})`);
      reject(new Error(`The connection was closed (${code}${reason ? `, ${reason}` : ""}).`));
      ended();
    };
  });
  ready.catch((error) => problem(error.message));
  return ready;
}

function ended() {
  socket = null;
  ready = null;
  speaking = false;
  stopSource();
  sound.clear();
  $("hangup").disabled = true;
  $("interrupt").disabled = true;
  $("partial").textContent = "";
}

function receive(message) {
  switch (message.type) {
    case "stt_result":
      transcript(message);
      break;
    case "tts_playback_complete":
      speaking = false;
      break;
    case "error":
      problem(message.message);
      break;
    default:
  }
}

function line(text, kind, tag) {
  const row = document.createElement("p");
  row.className = kind;
  row.textContent = text;
  if (tag) {
    const mark = document.createElement("span");
    mark.className = "tag";
    mark.textContent = ` ${tag}`;
    row.append(mark);
  }
  $("transcript").append(row);
  $("transcript").scrollTop = $("transcript").scrollHeight;
}

let pending = ""; // finals of the turn so far, to tell a forced repeat from new text

function transcript(result) {
  const text = result.transcript.trim();
  if (!result.is_final) {
    $("partial").textContent = text;
    if (text && speaking && $("bargein").checked) interrupt();
    return;
  }
  $("partial").textContent = "";
  if (text && !result.forced) {
    line(text, "heard", result.is_speech_final ? "" : "…");
    pending = pending ? `${pending} ${text}` : text;
  }
  if (!result.is_speech_final) return;
  const said = result.forced && text ? text : pending;
  pending = "";
  if (!said) return;
  const turn = latency.final(said, sound.quietSince, performance.now());
  if ($("echo").checked) speak(said, turn);
}

function heard(pcm, rms) {
  if (socket?.readyState === WebSocket.OPEN && source) {
    socket.send(pcm);
    inspector.audioUp(pcm.byteLength);
  }
  if (rms >= LOUD) sound.quietSince = performance.now();
  $("level").style.width = `${Math.min(100, Math.round(rms * 400))}%`;
}

function audio(data) {
  inspector.audioDown(data.byteLength);
  if (muted) return;
  latency.firstByte(speakTurn, performance.now());
  sound.play(data, SPEAK_RATE, speakTurn);
}

function played(ms) {
  playedMs += ms;
  document.documentElement.dataset.playedMs = String(Math.round(playedMs));
}

async function speak(text, turn) {
  await call();
  speakTurn = turn ?? latency.typed(text);
  latency.asked(speakTurn, performance.now());
  muted = false;
  speaking = true;
  line(text, "said");
  send({ type: "speak", text, flush: true, allow_interruption: true });
}

function interrupt() {
  muted = true;
  speaking = false;
  sound.clear();
  send({ type: "interrupt" });
}

function stopSource() {
  source = null;
  sound.silence();
  $("talk").setAttribute("aria-pressed", "false");
  $("talk").textContent = "Start microphone";
  $("level").style.width = "0";
}

async function guarded(work) {
  try {
    problem("");
    await work();
  } catch (error) {
    problem(error.message || String(error));
  }
}

$("talk").addEventListener("click", () => guarded(async () => {
  if (source === "microphone") {
    stopSource();
    return;
  }
  await call();
  await sound.microphone();
  source = "microphone";
  $("talk").setAttribute("aria-pressed", "true");
  $("talk").textContent = "Stop microphone";
}));

$("file").addEventListener("change", () => guarded(async () => {
  const [file] = $("file").files;
  $("file").value = "";
  if (!file) return;
  await call();
  stopSource();
  source = "file";
  await sound.file(file);
}));

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  $("text").value = "";
  guarded(() => speak(text));
});

$("choices").addEventListener("submit", (event) => event.preventDefault());
$("interrupt").addEventListener("click", interrupt);
$("hangup").addEventListener("click", () => socket?.close(1000));
$("empty").addEventListener("click", () => inspector.empty());
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && socket) interrupt();
});

for (const id of ["stt", "voice", "key"]) {
  $(id).addEventListener("change", () => {
    $("key-label").hidden = ($("stt").value || "local") === "local"
      && JSON.parse($("voice").value || '["local"]')[0] === "local";
    if (socket?.readyState === WebSocket.OPEN) socket.close(1000); // the next action calls anew
  });
}

function option(select, value, label, group) {
  const item = document.createElement("option");
  item.value = value;
  item.textContent = label;
  (group ?? select).append(item);
}

async function choices() {
  const [voices, providers] = await Promise.all([
    fetch("/voices").then((answer) => answer.json()),
    fetch("/providers").then((answer) => answer.json()),
  ]);
  for (const { name, title, configured } of providers.stt) {
    option($("stt"), name, configured ? title : `${title} (needs a key)`);
  }
  $("stt").value = providers.defaults.stt;
  for (const [provider, list] of Object.entries(voices)) {
    const group = document.createElement("optgroup");
    group.label = providers.tts.find((row) => row.name === provider)?.title ?? provider;
    for (const voice of list) {
      option($("voice"), JSON.stringify([provider, voice.id]), `${voice.name} (${voice.language})`, group);
    }
    $("voice").append(group);
  }
  const others = providers.tts.filter((row) => !(row.name in voices));
  for (const { name, title } of others) option($("voice"), JSON.stringify([name, ""]), `${title} (needs a key)`);
  const preferred = [...$("voice").options].find((item) => JSON.parse(item.value)[0] === providers.defaults.tts);
  if (preferred) $("voice").value = preferred.value;
}

guarded(choices);
