import { Blocks } from "/console/audio/blocks.js";
import { fullness, loudness } from "/console/audio/level.js";
import { Player } from "/console/audio/player.js";
import { PlaybackQueue } from "/console/audio/queue.js";
import { Resampler } from "/console/audio/resampler.js";
import { equal, near, test } from "./check.js";
import { amplitudeAt, pcm, tone } from "./signals.js";

function inPieces(resampler, samples, size) {
  const found = [];
  for (let i = 0; i < samples.length; i += size) found.push(...resampler.feed(samples.subarray(i, i + size)));
  return found;
}

test("resampler: a tone keeps its pitch and loudness at every rate a device or vendor has", () => {
  for (const [from, to] of [[48000, 16000], [44100, 16000], [24000, 48000], [24000, 44100], [8000, 48000]]) {
    const found = new Resampler(from, to).feed(tone(1000, from, 0.5));
    near(found.length, to / 2, to / 200);
    near(amplitudeAt(found.slice(to / 10), 1000, to), 0.5, 0.01);
  }
});

test("resampler: what the lower rate cannot hold is gone, not folded down", () => {
  const found = new Resampler(48000, 16000).feed(tone(11000, 48000, 0.5));
  near(amplitudeAt(found.slice(1600), 5000, 16000), 0, 0.002);
});

test("resampler: doubling the rate adds no hiss above the old one", () => {
  const found = new Resampler(24000, 48000).feed(tone(3000, 24000, 0.5));
  near(amplitudeAt(found.slice(4800), 21000, 48000), 0, 0.002);
});

test("resampler: pieces of any size sound like the whole", () => {
  const whole = [...new Resampler(44100, 16000).feed(tone(440, 44100, 0.2))];
  for (const size of [1, 128, 1000]) equal(inPieces(new Resampler(44100, 16000), tone(440, 44100, 0.2), size), whole);
});

test("blocks: whatever the device gives becomes mono blocks of 20 ms at 16 kHz, with the moment each ended", () => {
  const taken = [];
  const blocks = new Blocks(48000, (block, atS) => taken.push({ block, atS }));
  const left = tone(500, 48000, 0.2, 0.8);
  for (let i = 0; i < left.length; i += 128) {
    const part = left.subarray(i, i + 128);
    blocks.feed([part, new Float32Array(part.length)], 5 + i / 48000);
  }
  equal(taken.length, 9); // the tenth waits for the samples around its last
  equal(taken.every(({ block }) => block.length === 320), true);
  near(amplitudeAt(taken[5].block, 500, 16000) / 32767, 0.4, 0.01);
  taken.forEach(({ atS }, i) => near(atS, 5 + 0.02 * (i + 1), 0.004));
});

test("blocks: sound that is too loud is clipped, not turned over", () => {
  const taken = [];
  new Blocks(16000, (block) => taken.push(block)).feed([new Float32Array(320).fill(2)], 0);
  equal(Math.min(...taken[0]), 32767);
});

test("level: a full sine is 3 dB below full scale, silence is -100, and a meter shows speech between", () => {
  near(loudness(pcm(tone(1000, 16000, 0.1, 1))), -3, 0.1);
  equal(loudness(new Int16Array(320)), -100);
  equal([fullness(-100), fullness(0)], [0, 1]);
  equal(fullness(-20) > 0.3 && fullness(-20) < 0.8, true);
});

function queue() {
  const events = [];
  return { events, queue: new PlaybackQueue(48000, (event) => events.push(event)) };
}

const steady = (count) => new Int16Array(count).fill(16384);

test("queue: utterances play in order without a gap, and are told when they begin and have been heard", () => {
  const { events, queue: played } = queue();
  played.add("a", steady(4800), 48000);
  played.end("a");
  played.add("b", steady(4800), 48000);
  played.end("b");
  const out = new Float32Array(12000);
  equal(played.fill(out, 10), true);
  equal([out[0], out[9599], out[9600]], [0.5, 0.5, 0]);
  equal(events, [
    { started: "a", atS: 10 },
    { ended: "a", atS: 10.1, heardMs: 100, isCut: false },
    { started: "b", atS: 10.1 },
    { ended: "b", atS: 10.2, heardMs: 100, isCut: false },
  ]);
});

test("queue: pieces of an utterance at the vendor's rate join without a seam", () => {
  const { queue: played } = queue();
  const whole = pcm(tone(440, 24000, 0.5));
  for (let i = 0; i < whole.length; i += 240) played.add("a", whole.subarray(i, i + 240), 24000);
  const out = new Float32Array(23900);
  played.fill(out, 0);
  near(amplitudeAt(out, 440, 48000), 0.5, 0.01);
  const steps = out.slice(100).map((value, i) => Math.abs(value - out[i + 99]));
  equal(Math.max(...steps) < 0.032, true); // the steepest that a sine of 440 Hz gets
});

test("queue: while more of an utterance is on its way it is not over", () => {
  const { events, queue: played } = queue();
  played.add("a", steady(480), 48000);
  equal(played.fill(new Float32Array(960), 0), true);
  equal(played.fill(new Float32Array(960), 0.02), false);
  equal(events, [{ started: "a", atS: 0 }]);
  played.add("a", steady(480), 48000);
  played.end("a");
  played.fill(new Float32Array(960), 0.04);
  equal(events[1], { ended: "a", atS: 0.05, heardMs: 20, isCut: false });
});

test("queue: cleared, it fades within 5 ms and forgets everything", () => {
  const { events, queue: played } = queue();
  played.add("a", steady(48000), 48000);
  played.add("b", steady(48000), 48000);
  played.fill(new Float32Array(4800), 1);
  played.clear(1.1);
  const out = new Float32Array(4800);
  played.fill(out, 1.1);
  equal([out[0], out[240]], [0.5, 0]);
  equal(out[120] > 0.2 && out[120] < 0.3, true);
  equal(events[1], { ended: "a", atS: 1.105, heardMs: 105, isCut: true });
  equal(played.fill(new Float32Array(4800), 1.2), false);
  equal(events.length, 2);
});

test("queue: cleared while nothing plays, it tells nothing", () => {
  const { events, queue: played } = queue();
  played.add("a", steady(480), 48000);
  played.clear(0);
  equal(played.fill(new Float32Array(960), 0), false);
  equal(events, []);
});

test("queue: an utterance without sound neither begins nor ends", () => {
  const { events, queue: played } = queue();
  played.end("a");
  played.fill(new Float32Array(128), 0);
  equal(events, []);
});

test("player: it takes orders, fills every channel, and tells how loud it is, silence once", () => {
  const events = [];
  const player = new Player(48000, (event) => events.push(event));
  player.order({ add: "a", pcm: steady(960), rateHz: 48000 }, 0);
  player.order({ end: "a" }, 0);
  for (let i = 0; i < 20; i += 1) {
    const channels = [new Float32Array(128), new Float32Array(128)];
    player.play(channels, (i * 128) / 48000);
    equal(channels[0], channels[1]);
  }
  const levels = events.filter((event) => "level" in event).map(({ level }) => level);
  equal(levels.length, 2);
  near(levels[0], -6, 0.5);
  equal(levels[1], -100);
});

test("player: an order to clear silences it", () => {
  const player = new Player(48000, () => {});
  player.order({ add: "a", pcm: steady(96000), rateHz: 48000 }, 0);
  player.play([new Float32Array(128)], 0);
  player.order({ clear: true }, 0.01);
  player.play([new Float32Array(480)], 0.01);
  const out = new Float32Array(128);
  player.play([out], 0.02);
  equal(Math.max(...out), 0);
});
