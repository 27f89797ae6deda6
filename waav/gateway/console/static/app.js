// The console: a person's call to this gateway. No build step, no other host.
import { loudness } from "./audio/level.js";
import { Sound } from "./audio/sound.js";
import { canListen } from "./audio/sources.js";
import { Call } from "./call/call.js";
import { configMessage, ON_THE_WIRE } from "./call/choices.js";
import { EventLog } from "./call/event-log.js";
import { Gateway } from "./call/gateway.js";
import { recall, remember } from "./call/memory.js";
import * as problems from "./call/problems.js";
import { Talk } from "./talk.js";
import { CallBar } from "./view/call-bar.js";
import { Conversation } from "./view/conversation.js";
import { byId, save } from "./view/dom.js";
import { EventList } from "./view/event-list.js";
import { describe, privacy } from "./view/gateway-view.js";
import { LatencyView } from "./view/latency-view.js";
import { Meter } from "./view/meter.js";
import { Notices } from "./view/notices.js";
import { Settings } from "./view/settings.js";
import { paint } from "./view/theme.js";

const choices = recall(localStorage);
const gateway = new Gateway(new URL("..", import.meta.url));
const events = new EventList(new EventLog());
const conversation = new Conversation(byId("conversation"));
const latency = new LatencyView();
const notices = new Notices((action) => ACTIONS[action]());
const settings = new Settings(choices, gateway, changed);
const sound = new Sound(sounded);
const call = new Call(happened);
const talk = new Talk({ call, sound, choices, conversation, latency, voiceName: () => settings.voiceName });
const bar = new CallBar({ call, sound, choices, talk, start, listen });
const meters = { you: new Meter(byId("you-meter")), gateway: new Meter(byId("gateway-meter")) };
const ACTIONS = { again: () => start({ withMicrophone: wantsMicrophone }), settings: () => settings.open() };

let loaded = null; // the promise of what the gateway offers
let opening = null; // the promise of a call that is being set up
let beginning = null; // the promise of a microphone that is being opened
let wantsMicrophone = false; // whoever calls again

// Calls.

// Be in a call; with the microphone too, where the page may have one.
async function start({ withMicrophone = false } = {}) {
  await guarded(async () => {
    notices.show(null);
    if (!call.isOpen) wantsMicrophone = withMicrophone;
    if (!(await loaded)) loaded = begin();
    if (!(await loaded)) return;
    await opened();
    if (!call.isOpen) opening = call.open(gateway.callUrl, configMessage(choices, settings.keys));
    await opening;
    if (withMicrophone && canListen() && !sound.hasMicrophone) await listen();
  });
  return call.state === "ready";
}

// Sound needs files of the gateway, the first time.
async function opened() {
  try {
    await sound.open();
  } catch (error) {
    if ((await gateway.version()) !== null) throw error;
    throw new Gone();
  }
}

function listen() {
  beginning ??= openMicrophone().finally(() => {
    beginning = null;
  });
  return beginning;
}

async function openMicrophone() {
  try {
    sound.isMuted = choices.pushToTalk;
    await sound.startMicrophone({ deviceId: choices.microphone, echoCancellation: choices.echoCancellation });
    if (!call.isOpen) sound.stopMicrophone(); // hung up while the browser asked the person
    settings.offerDevices(); // they have names now
  } catch (error) {
    notices.show(problems.ofMicrophone(error));
  }
  bar.render();
}

async function guarded(work) {
  try {
    await work();
  } catch (error) {
    if (error.type === "error") refused(error);
    else if (error instanceof Gone) gone();
    else if (error instanceof Error) problem(problems.ofError(error));
    // What else there is, a connection that ended, is told by the event.
  }
}

// The gateway does not answer.
class Gone extends Error {}

function gone() {
  const end = { code: 1006, reason: "", wasReady: false, wasOurs: false };
  problem(problems.ofClose(end, { answers: false, isOnline: navigator.onLine }));
}

function problem(told) {
  if (told) notices.show(told);
}

function refused(message) {
  problem(problems.ofMessage(message, { stt: settings.vendor("stt"), tts: settings.vendor("tts") }));
}

async function closed(end) {
  if (end.wasReady) wantsMicrophone = sound.hasMicrophone;
  sound.silence();
  talk.over();
  bar.render();
  if (end.wasOurs) return;
  const answers = (await gateway.version()) !== null;
  problem(problems.ofClose(end, { answers, isOnline: navigator.onLine }));
}

// What the call tells, and what the sound does.

function happened(event) {
  if ("state" in event) bar.render();
  if ("sent" in event) events.message("up", event.sent);
  if ("received" in event) events.message("down", event.received);
  if ("ready" in event) notices.tell("warning", (event.ready.warnings ?? []).map(problems.ofWarning));
  if ("heard" in event) talk.heard(event.heard);
  if ("spoken" in event) talk.complete(event.spoken);
  if ("problem" in event) refused(event.problem);
  if ("closed" in event) {
    events.message("down", { type: "closed", ...event.closed });
    closed(event.closed);
  }
  if ("sound" in event) {
    events.audio("down", event.sound.pcm.byteLength);
    talk.arrived(event.sound);
  }
}

function sounded(event) {
  if ("block" in event) {
    if (call.state === "ready") events.audio("up", event.block.byteLength);
    call.hear(event.block);
    talk.block(event.block, event.atMs);
    meters.you.level(loudness(event.block));
  }
  if ("level" in event) meters.gateway.level(event.level);
  if ("started" in event) talk.started(event.started, event.atMs);
  if ("ended" in event) talk.ended(event);
  if ("fileEnded" in event) bar.render();
  if ("unplugged" in event) {
    bar.render();
    problem(problems.UNPLUGGED);
  }
}

// Choices.

async function changed(name) {
  remember(localStorage, choices);
  privacy(choices, settings.titles);
  await sound.useLoudspeaker(choices.loudspeaker);
  if (sound.hasMicrophone && ["microphone", "echoCancellation"].includes(name)) await openMicrophone();
  if (name === "pushToTalk") sound.isMuted = choices.pushToTalk;
  bar.render();
  if (call.state === "ready" && (name === "key" || ON_THE_WIRE.has(name))) await setUpAnew();
}

async function setUpAnew() {
  await guarded(async () => {
    const message = configMessage(choices, settings.keys);
    notices.show(null);
    talk.hush();
    opening = call.configure(message);
    await opening.catch((error) => {
      if (error.type === "error") call.hangUp();
      throw error;
    });
  });
}

async function sendFile(file) {
  if (!(await start())) return;
  try {
    await sound.startFile(file);
    bar.render();
  } catch {
    problem(problems.ofFile(file.name));
  }
}

byId("say").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = byId("text").value.trim();
  if (!text) return;
  byId("text").value = "";
  if (await start()) talk.say(text);
  else byId("text").value = text;
});
byId("file").addEventListener("change", () => {
  const [file] = byId("file").files;
  byId("file").value = "";
  if (file) sendFile(file);
});
byId("theme").addEventListener("change", ({ target }) => {
  choices.theme = target.value;
  remember(localStorage, choices);
  paint(choices.theme);
});
byId("clear-talk").addEventListener("click", () => {
  conversation.clear();
  latency.clear();
});
byId("save-talk").addEventListener("click", () => save("waav-conversation.txt", conversation.asText(), "text/plain"));

function frame(nowMs) {
  meters.you.step(nowMs, talk.voice.isSpeaking);
  meters.gateway.step(nowMs, true);
  bar.showActivity(talk, performance.now());
  requestAnimationFrame(frame);
}

// The beginning.

paint(choices.theme);
settings.fill();
settings.offerDevices();
bar.render();
requestAnimationFrame(frame);
for (const fold of document.querySelectorAll("details.fold")) fold.open = matchMedia("(min-width: 62rem)").matches;
if (!isSecureContext) notices.tell("address", [problems.ofAddress(location)]);

// Ask the gateway who it is and what it offers; whether it answered.
async function begin() {
  const [version, providers] = await Promise.all([gateway.version(), gateway.providers().catch((error) => error)]);
  const isKnown = !(providers instanceof Error);
  describe(version, isKnown ? providers.models : null);
  if (version === null) gone();
  else if (!isKnown) problem(problems.ofOffer(providers));
  if (version === null || !isKnown) return false;
  settings.offer(providers); // voices may take longer: nobody waits for them
  privacy(choices, settings.titles);
  return true;
}

loaded = begin();
