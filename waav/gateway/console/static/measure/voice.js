// When somebody speaks, told from the sound alone: the page must know it before any recogniser says so, to fall
// silent at once, and to know when the voice ended, which is where waiting for an answer begins.
//
// A voice begins where several blocks of a fifth of a second stand out from the noise and some of them have a pitch,
// which clicks, keys and wind have not. It goes on, soft consonants and all, while blocks are louder than the noise
// and not far below the loudest of it. Levels are decibels below full scale.
import { BLOCK_MS } from "../audio/blocks.js";
import { loudness } from "../audio/level.js";
import { Pitch } from "./pitch.js";

const ABOVE_NOISE = 9; // to begin
const STILL_ABOVE_NOISE = 6; // to go on
const BELOW_PEAK = 32; // the end of a word fades into the room
const FAINTEST = -52;
const WINDOW = 9; // blocks, 180 ms
const LOUD_BLOCKS = 6;
const PITCHED_BLOCKS = 4;
const PAUSE_MS = 240; // shorter ones are inside words
const NOISE_BLOCKS = 100;
const SILENT = -95;
const KEPT = 50; // segments

export class VoiceActivity {
  // `changed(isSpeaking)` is called when a voice begins and when it has ended.
  constructor(changed = () => {}) {
    this.changed = changed;
    this.pitch = new Pitch();
    this.noise = -75;
    this.levels = []; // of the last blocks
    this.peak = -100;
    this.recent = []; // {isLoud, isPitched, fromMs} of the last blocks
    this.segments = []; // {fromMs, toMs} of voices that have ended
    this.open = null; // the voice that goes on; toMs is its last loud block's end
    this.db = -100;
  }

  get isSpeaking() {
    return this.open !== null;
  }

  // A block of sound, and when it ended.
  hear(block, atMs) {
    this.db = loudness(block);
    const isPitched = this.pitch.isIn(block);
    if (this.open) this.goOn(atMs);
    else this.maybeBegin(isPitched, atMs);
    this.adapt();
  }

  maybeBegin(isPitched, atMs) {
    const isLoud = this.db > Math.max(this.noise + ABOVE_NOISE, FAINTEST);
    this.recent.push({ isLoud, isPitched: isLoud && isPitched, fromMs: atMs - BLOCK_MS });
    if (this.recent.length > WINDOW) this.recent.shift();
    const loud = this.recent.filter((one) => one.isLoud);
    if (loud.length < LOUD_BLOCKS || loud.filter((one) => one.isPitched).length < PITCHED_BLOCKS) return;
    this.open = { fromMs: loud[0].fromMs, toMs: atMs };
    this.peak = this.db;
    this.recent = [];
    this.changed(true);
  }

  goOn(atMs) {
    this.peak = Math.max(this.peak - 0.1, this.db);
    if (this.db > Math.max(this.noise + STILL_ABOVE_NOISE, this.peak - BELOW_PEAK, FAINTEST - 3)) {
      this.open.toMs = atMs;
    } else if (atMs - this.open.toMs >= PAUSE_MS) {
      this.close();
    }
  }

  close() {
    this.segments.push(this.open);
    if (this.segments.length > KEPT) this.segments.shift();
    this.open = null;
    this.changed(false);
  }

  // Noise is what stays when the voice pauses: the faintest of the last two seconds.
  adapt() {
    if (this.db <= SILENT) return; // a muted microphone tells nothing about the room
    this.levels.push(this.db);
    if (this.levels.length > NOISE_BLOCKS) this.levels.shift();
    this.noise = Math.max(-75, Math.min(...this.levels));
  }

  // When the voice that was understood last had ended, for a text that came at `atMs`; null if none was heard since
  // `sinceMs`. A voice that goes on just now is the next one, unless there was no other.
  endBefore(atMs, sinceMs) {
    const { open } = this;
    if (open && atMs - open.toMs > 3 * BLOCK_MS) return open.toMs;
    const closed = this.segments.findLast((one) => one.toMs <= atMs);
    if (closed && closed.toMs > sinceMs) return closed.toMs;
    return open ? Math.min(open.toMs, atMs) : null;
  }

  // When the first voice after `sinceMs` began; null if there was none.
  beginAfter(sinceMs) {
    const heard = this.open ? [...this.segments, this.open] : this.segments;
    return heard.find((one) => one.toMs > sinceMs)?.fromMs ?? null;
  }
}
