import { AudioTime } from "/console/measure/audio-time.js";
import { parts, percentile, summary, total } from "/console/measure/latency.js";
import { Past } from "/console/measure/past.js";
import { Pitch } from "/console/measure/pitch.js";
import { PlaybackClock } from "/console/measure/playback-clock.js";
import { Shelf } from "/console/measure/shelf.js";
import { asItWas } from "/console/measure/turn-sound.js";
import { equal, near, test } from "./check.js";
import { blocks, noise, pcm, tone } from "./signals.js";

test("audio time: however late a busy page looks, moments of sound are where the quickest look put them", () => {
  const time = new AudioTime();
  for (const [audioS, lateMs] of [[1, 40], [2, 3], [3, 250], [4, 9]]) time.seen(audioS, 5000 + audioS * 1000 + lateMs);
  near(time.pageMs(3.5), 5000 + 3500 + 3, 0.001);
});

test("audio time: a clock that drifts is followed", () => {
  const time = new AudioTime();
  for (let s = 0; s < 60; s += 0.1) time.seen(s, s * 1001);
  near(time.pageMs(60), 60060, 25);
});

test("playback clock: heard is what has begun and not ended, with the loudspeaker's delay", () => {
  const clock = new PlaybackClock();
  equal(clock.isHeard(0), false);
  clock.started("a", 100);
  equal([clock.isHeard(99), clock.isHeard(100), clock.isHeard(9000)], [false, true, true]);
  clock.ended("a", 9100);
  equal([clock.isHeard(9099), clock.isHeard(9100)], [true, false]);
});

test("playback clock: the end of an utterance before does not end the next one", () => {
  const clock = new PlaybackClock();
  clock.started("a", 100);
  clock.started("b", 200);
  clock.ended("a", 200);
  equal(clock.isHeard(300), true);
});

test("playback clock: silenced, nothing is heard", () => {
  const clock = new PlaybackClock();
  clock.started("a", 100);
  clock.clear();
  equal(clock.isHeard(150), false);
  clock.ended("a", 500); // the loudspeaker is told later
  equal(clock.isHeard(160), false);
});

test("latency: 600 ms of silence before a final are 600 ms, and the parts add up to what was waited", () => {
  const moments = { voiceEnd: 1000.4, final: 1600.4, asked: 1602.7, firstByte: 1650.1, heard: 1700.9 };
  equal(parts(moments), [
    { name: "final", ms: 600 }, { name: "asked", ms: 2 }, { name: "firstByte", ms: 48 }, { name: "heard", ms: 51 },
  ]);
  equal(total(moments), 701);
});

test("latency: fractions never make the parts differ from the whole", () => {
  for (let i = 0; i < 200; i += 1) {
    const moments = { voiceEnd: i * 0.37, final: i * 1.13 + 0.5, asked: i * 1.2 + 0.7, firstByte: i * 1.9 + 0.9, heard: i * 2.3 + 1.49 };
    equal(total(moments), Math.round(moments.heard - moments.voiceEnd));
  }
});

test("latency: a typed text has no voice, a turn without answer no sound; what is unknown is left out", () => {
  equal(parts({ asked: 10, firstByte: 60, heard: 90 }), [{ name: "firstByte", ms: 50 }, { name: "heard", ms: 30 }]);
  equal(parts({ voiceEnd: 10, final: 60 }), [{ name: "final", ms: 50 }]);
  equal([parts({}), total({})], [[], 0]);
});

test("latency: a final that came before the voice had ended took no time, and takes none from the other parts", () => {
  equal(parts({ voiceEnd: 100, final: 80, asked: 120 }), [{ name: "final", ms: 0 }, { name: "asked", ms: 20 }]);
});

test("percentile: the value that so many do not exceed; of one turn, that turn", () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  equal([percentile(hundred, 0.5), percentile(hundred, 0.95)], [50, 95]);
  equal([percentile([7], 0.5), percentile([7], 0.95), percentile([], 0.5)], [7, 7, null]);
  equal(percentile([10, 9, 100], 0.5), 10);
});

test("summary: p50 and p95 of every part, and of whole turns only where both ends are known", () => {
  const answered = (ms) => ({ voiceEnd: 0, final: ms, asked: ms, firstByte: ms + 40, heard: ms + 60 });
  const found = summary([answered(600), answered(700), answered(900), { asked: 0, firstByte: 30, heard: 35 }]);
  equal(found, [
    { name: "final", count: 3, p50: 700, p95: 900 },
    { name: "asked", count: 3, p50: 0, p95: 0 },
    { name: "firstByte", count: 4, p50: 40, p95: 40 },
    { name: "heard", count: 4, p50: 20, p95: 20 },
    { name: "whole", count: 3, p50: 760, p95: 960 },
  ]);
  equal(summary([]), []);
});

test("pitch: voices from deep to high have one, noise and clicks have none", () => {
  const last = (samples) => {
    const pitch = new Pitch();
    return [...blocks(pcm(samples))].map((block) => pitch.isIn(block)).at(-1);
  };
  for (const hz of [75, 120, 210, 390]) equal(last(tone(hz, 16000, 0.1, 0.3)), true);
  equal(last(noise(1600, 0.3)), false);
  const click = new Float32Array(1600);
  click.set([0.9, -0.7, 0.4], 1500);
  equal(last(click), false);
});

test("past: the sound between two moments, and no more than a minute is kept", () => {
  const past = new Past();
  for (let i = 1; i <= 4000; i += 1) past.add(new Int16Array(320).fill(i % 1000), i * 20);
  equal([...past.between(79000, 79040)].filter((value, i) => i % 320 === 0), [951, 952]);
  equal(past.between(0, 19000).length, 0);
});

test("shelf: sound comes back as it was put there, piece after piece", () => {
  const shelf = new Shelf(1000);
  shelf.add("a", Int16Array.of(1, 2), 24000);
  shelf.add("a", Int16Array.of(3), 24000);
  equal(shelf.sound("a"), { pcm: [1, 2, 3], rateHz: 24000 });
  equal(shelf.sound("b"), null);
});

test("shelf: when it is full the oldest goes, never what is being put there", () => {
  const shelf = new Shelf(1000);
  for (const name of ["a", "b", "c"]) shelf.add(name, new Int16Array(200), 24000);
  equal([shelf.sound("a"), shelf.sound("b")?.pcm.length, shelf.sound("c")?.pcm.length], [null, 200, 200]);
  shelf.add("d", new Int16Array(900), 24000);
  equal([shelf.sound("c"), shelf.sound("d").pcm.length, shelf.bytes], [null, 900, 1800]);
});

test("turn: played again it is the question, the wait and the answer, at the answer's rate", () => {
  const question = { pcm: pcm(tone(300, 16000, 1)), rateHz: 16000 };
  const answer = { pcm: new Int16Array(2400).fill(9), rateHz: 24000 };
  const { pcm: found, rateHz } = asItWas(question, 500, answer);
  equal(rateHz, 24000);
  near(found.length, 24000 + 12000 + 2400, 40);
  equal([found.at(-2401), found.at(-2400)], [0, 9]);
  equal(Math.max(...found.subarray(0, 23000)) > 15000, true);
  equal(asItWas(null, 500, answer), answer);
  equal(asItWas(question, 500, null), question);
});
