// A turn as it was: what the caller said, the wait, and the answer.
import { Resampler } from "../audio/resampler.js";

// One sound of the rate of `answer`. Each of the two is {pcm, rateHz} or null, `waitMs` lies between them.
export function asItWas(question, waitMs, answer) {
  if (!question || !answer) return question ?? answer;
  const { rateHz } = answer;
  const asked = new Resampler(question.rateHz, rateHz).feed(Float32Array.from(question.pcm));
  const gap = Math.max(0, Math.round((waitMs / 1000) * rateHz));
  const pcm = new Int16Array(asked.length + gap + answer.pcm.length);
  pcm.set(asked.map((value) => Math.max(-32768, Math.min(32767, Math.round(value)))));
  pcm.set(answer.pcm, asked.length + gap);
  return { pcm, rateHz };
}
