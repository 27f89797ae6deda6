// The buttons of a call and their keys, and what they show of it.
import { canListen } from "../audio/sources.js";
import { byId } from "./dom.js";

const STATES = { idle: "Not in a call", connecting: "Connecting…", preparing: "Preparing…", ready: "In a call" };
const ACTIVITIES = { idle: "Quiet", muted: "Muted", listening: "Listening", hearing: "Hears you", speaking: "Speaking" };

export class CallBar {
  // `start({withMicrophone})` begins a call, `listen()` opens the microphone.
  constructor({ call, sound, choices, talk, start, listen }) {
    Object.assign(this, { call, sound, choices, talk, start, listen });
    this.readySince = null;
    byId("call").addEventListener("click", () => (call.isOpen ? call.hangUp() : start({ withMicrophone: true })));
    byId("mic").addEventListener("click", () => this.toggle());
    byId("interrupt").addEventListener("click", () => talk.interrupt());
    const hold = byId("hold");
    hold.addEventListener("pointerdown", (event) => {
      hold.setPointerCapture(event.pointerId);
      this.hold(true);
    });
    for (const name of ["pointerup", "pointercancel", "blur"]) hold.addEventListener(name, () => this.hold(false));
    hold.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press on a phone
    document.addEventListener("keydown", (event) => this.key(event, true));
    document.addEventListener("keyup", (event) => this.key(event, false));
    setInterval(() => this.showElapsed(), 1000);
  }

  key(event, isDown) {
    const { target, key, repeat } = event;
    if (key === "Escape" && isDown && this.call.isOpen) this.talk.interrupt();
    const isHold = target === byId("hold");
    if (target.closest("input, select, textarea, summary, a, button") && !isHold) return;
    if (key === " " || (key === "Enter" && isHold)) {
      if (!this.canHold) return;
      event.preventDefault(); // the page would scroll
      if (!repeat) this.hold(isDown);
    } else if (key.toLowerCase() === "m" && isDown && !repeat && !event.ctrlKey && !event.metaKey) {
      this.toggle();
    }
  }

  get canHold() {
    return this.choices.pushToTalk && this.call.state === "ready" && this.sound.hasMicrophone;
  }

  hold(isDown) {
    if (!this.canHold || this.sound.isMuted === !isDown) return;
    this.sound.isMuted = !isDown;
    if (!isDown) this.call.finish();
    this.render();
  }

  // Start the microphone, or mute it, or let it hear again.
  toggle() {
    if (this.call.state !== "ready" || !canListen()) return;
    if (!this.sound.hasMicrophone) {
      this.listen();
      return;
    }
    if (this.choices.pushToTalk) return;
    this.sound.isMuted = !this.sound.isMuted;
    this.render();
  }

  render() {
    const { state } = this.call;
    const { hasMicrophone } = this.sound;
    const isReady = state === "ready";
    if (isReady) this.readySince ??= Date.now();
    else this.readySince = null;
    byId("state").textContent = STATES[state];
    byId("state").dataset.state = state;
    byId("call").textContent = state === "idle" ? "Start call" : "Hang up";
    byId("call").dataset.state = state;
    byId("interrupt").disabled = !isReady;
    const isHeld = this.choices.pushToTalk && hasMicrophone;
    const mic = byId("mic");
    mic.hidden = isHeld;
    mic.disabled = !isReady || !canListen();
    mic.textContent = hasMicrophone || !isReady ? "Mute" : "Start mic";
    mic.setAttribute("aria-pressed", String(hasMicrophone && this.sound.isMuted));
    byId("hold").hidden = !isHeld;
    byId("hold").disabled = !isReady;
    byId("hold").setAttribute("aria-pressed", String(isHeld && !this.sound.isMuted));
    this.showElapsed();
  }

  showElapsed() {
    const seconds = this.readySince === null ? null : Math.floor((Date.now() - this.readySince) / 1000);
    byId("elapsed").textContent = seconds === null ? "" : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }

  // What is happening just now.
  showActivity(talk, nowMs) {
    const activity = this.activity(talk, nowMs);
    const shown = byId("activity");
    if (shown.dataset.activity === activity) return;
    shown.dataset.activity = activity;
    shown.textContent = ACTIVITIES[activity];
  }

  activity(talk, nowMs) {
    if (talk.clock.isHeard(nowMs)) return "speaking";
    if (this.call.state !== "ready" || !this.sound.isHearing) return "idle";
    if (talk.voice.isSpeaking) return "hearing";
    return this.sound.isMuted && !this.sound.file ? "muted" : "listening";
  }
}
