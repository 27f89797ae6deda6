// What happens in a call, told to the parts of the page: who says what, what is heard of it, and when.
import { HEARD_HZ } from "./audio/blocks.js";
import { BargeIn } from "./call/barge-in.js";
import { SPOKEN_HZ } from "./call/choices.js";
import { Turns } from "./call/turns.js";
import { total } from "./measure/latency.js";
import { Past } from "./measure/past.js";
import { PlaybackClock } from "./measure/playback-clock.js";
import { Shelf } from "./measure/shelf.js";
import { asItWas } from "./measure/turn-sound.js";
import { VoiceActivity } from "./measure/voice.js";

const KEPT_BYTES = 48e6; // of sound to play again: a quarter of an hour
const LEAD_MS = 150; // of a caller's turn, before its first loud block
const now = () => performance.now();

export class Talk {
  // `call`, `sound` and the views are what they are elsewhere; `voiceName()` tells who speaks for the gateway.
  constructor({ call, sound, choices, conversation, latency, voiceName }) {
    Object.assign(this, { call, sound, choices, conversation, latency, voiceName });
    this.turns = new Turns();
    this.voice = new VoiceActivity();
    this.clock = new PlaybackClock();
    this.past = new Past();
    this.shelf = new Shelf(KEPT_BYTES);
    this.texts = new Map(); // id -> {measured, hasSounded}, of what is being said
    this.asked = 0;
    this.lastFinalMs = -Infinity;
    this.bargeIn = new BargeIn({
      isOn: () => this.choices.bargeIn,
      isHeard: () => this.clock.isHeard(now()),
      interrupt: () => this.interrupt(),
    });
  }

  // What the caller says.

  block(block, atMs) {
    this.voice.hear(block, atMs);
    this.past.add(block, atMs);
    if (this.voice.isSpeaking) this.bargeIn.voice();
  }

  heard(result) {
    this.bargeIn.text(result);
    const turn = this.turns.take(result);
    if (!turn) return;
    this.conversation.show(turn.id, { side: "you", who: "You", text: turn.text, isPartial: !turn.isOver });
    if (turn.isOver) this.understood(turn);
  }

  understood({ id, text }) {
    const final = now();
    const voiceEnd = this.voice.endBefore(final, this.lastFinalMs);
    const began = this.voice.beginAfter(this.lastFinalMs);
    this.lastFinalMs = final;
    const moments = voiceEnd === null ? { final } : { voiceEnd, final };
    const measured = this.measure(text, moments, id);
    if (voiceEnd !== null && began !== null) {
      this.shelf.add(id, this.past.between(began - LEAD_MS, voiceEnd), HEARD_HZ);
      this.conversation.note(id, `understood after ${total(moments)} ms`);
      this.offer(id, measured);
    }
    if (this.choices.echo) this.say(text, measured);
  }

  // What the gateway says.

  // Have `text` said: as the answer to the turn `measured`, or of its own.
  say(text, measured = null) {
    this.asked += 1;
    const id = `gateway-${this.asked}`;
    const turn = measured ?? this.measure(text, {}, null);
    turn.answer = id;
    turn.moments.asked = now();
    this.texts.set(id, { measured: turn, hasSounded: false });
    const name = this.voiceName();
    this.conversation.show(id, { side: "gateway", who: name ? `Gateway (${name})` : "Gateway", text });
    this.conversation.mark(id, "waiting");
    this.call.say(id, text);
  }

  arrived({ id, pcm }) {
    const text = this.texts.get(id);
    if (!text) return; // of something that was interrupted
    text.measured.moments.firstByte ??= now();
    this.shelf.add(id, pcm, SPOKEN_HZ);
    this.sound.play(id, pcm, SPOKEN_HZ);
  }

  complete(id) {
    const text = this.texts.get(id);
    if (!text) return;
    this.sound.end(id);
    if (this.shelf.sound(id)) this.offer(id, text.measured);
    else this.unsaid(id);
  }

  started(id, atMs) {
    const text = this.texts.get(id);
    if (!text) return;
    this.clock.started(id, atMs);
    text.hasSounded = true;
    const { moments } = text.measured;
    moments.heard = atMs;
    this.latency.draw(text.measured);
    this.conversation.mark(id, "sounding");
    this.conversation.note(id, `heard after ${total(moments)} ms`);
  }

  ended({ ended: id, atMs, heardMs, isCut }) {
    this.clock.ended(id, atMs);
    this.texts.delete(id);
    this.conversation.mark(id, isCut ? "interrupted" : "heard");
    if (isCut) this.conversation.note(id, `interrupted after ${(heardMs / 1000).toFixed(1)} s`);
  }

  interrupt() {
    this.call.interrupt();
    this.hush();
  }

  // Nothing of what was asked for is heard any more.
  hush() {
    this.clock.clear();
    this.sound.clear();
    for (const [id, { hasSounded, measured }] of this.texts) {
      if (hasSounded) this.offer(id, measured);
      else this.unsaid(id);
    }
    this.texts.clear();
  }

  unsaid(id) {
    this.texts.delete(id);
    this.conversation.mark(id, "unsaid");
    this.conversation.note(id, "not spoken");
  }

  over() {
    this.hush();
    const { id } = this.turns;
    this.turns.forget();
    this.conversation.finish(id);
  }

  // What is measured, and played again.

  // Put a turn among the figures; `question` is the caller's turn it belongs to, if it does to one.
  measure(text, moments, question) {
    return Object.assign(this.latency.add(text, moments), { question, answer: null });
  }

  // Offer to play what `id` said, and the turn that it belongs to.
  offer(id, measured) {
    if (!this.shelf.sound(id)) return;
    this.conversation.playable(id, (ended) => this.play(this.shelf.sound(id), ended));
    this.latency.playable(measured, (ended) => this.play(this.turnSound(measured), ended));
  }

  turnSound({ question, answer, moments }) {
    const wait = moments.voiceEnd == null ? 0 : total(moments);
    return asItWas(this.shelf.sound(question), wait, this.shelf.sound(answer));
  }

  // Play a sound that was kept, if it still is; returns what stops it.
  play(found, ended) {
    if (!found) ended();
    else this.sound.replay(found, ended);
    return () => this.sound.stopReplay();
  }
}
