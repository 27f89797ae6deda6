import { VoiceActivity } from "/console/measure/voice.js";
import { equal, near, test } from "./check.js";
import { blocks, noise, pcm, tone } from "./signals.js";

// Spoken sentences with known ends, from the test's server: [{name, fromMs, toMs}].
const spoken = await (await fetch("/speech/index.json")).json();

async function sentence(name) {
  return new Int16Array(await (await fetch(`/speech/${name}.raw`)).arrayBuffer());
}

// What is told of the samples: [{isSpeaking, atMs}], and the detector.
function listen(samples, voice = null, fromMs = 0) {
  const told = [];
  let atMs = fromMs;
  const detector = voice ?? new VoiceActivity();
  detector.changed = (isSpeaking) => told.push({ isSpeaking, atMs });
  for (const block of blocks(samples)) {
    atMs += 20;
    detector.hear(block, atMs);
  }
  return { told, voice: detector, atMs };
}

test("voice: of every sentence, in quiet and in noise, beginning and end are known to a few hundredths of a second", async () => {
  equal(spoken.length >= 8, true);
  for (const { name, fromMs, toMs, isNoisy } of spoken) {
    const { voice } = listen(await sentence(name));
    const { segments } = voice;
    equal([name, segments.length > 0, voice.isSpeaking], [name, true, false]);
    near(segments[0].fromMs, fromMs, isNoisy ? 350 : 60);
    near(segments.at(-1).toMs, toMs, isNoisy ? 180 : 60);
  }
});

test("voice: it is noticed within a quarter of a second, soon enough to fall silent for", async () => {
  for (const { name, fromMs } of spoken.filter(({ isNoisy }) => !isNoisy)) {
    const { told } = listen(await sentence(name));
    equal([name, told[0].isSpeaking], [name, true]);
    near(told[0].atMs, fromMs, 250);
  }
});

test("voice: keys and clicks are none", () => {
  const samples = noise(16000 * 4, 0.002);
  for (let i = 8000; i < samples.length - 400; i += 3000) samples.set(noise(200, 0.6), i);
  equal(listen(pcm(samples)).told, []);
});

test("voice: a steady hum and a fan are none for long, however loud", () => {
  const hum = tone(120, 16000, 8, 0.1).map((value, i) => value * (i < 16000 ? 0.01 : 1));
  const { voice } = listen(pcm(hum));
  equal(voice.isSpeaking, false);
  equal(listen(pcm(noise(16000 * 4, 0.05))).told, []);
});

test("voice: silence of a muted microphone is none, and leaves the room's noise known", () => {
  const { voice, atMs } = listen(pcm(noise(48000, 0.01)));
  const before = voice.noise;
  const muted = listen(new Int16Array(48000), voice, atMs);
  equal([muted.told, voice.noise === before], [[], true]);
});

test("voice: a pause inside a sentence does not end it, a longer one does", () => {
  const vowel = (seconds) => [...tone(140, 16000, seconds, 0.2)];
  const quiet = (seconds) => new Array(16000 * seconds).fill(0).map((_, i) => (i % 2 ? 0.0002 : -0.0002));
  const samples = Float32Array.from([...quiet(1), ...vowel(0.5), ...quiet(0.15), ...vowel(0.5), ...quiet(0.6), ...vowel(0.5), ...quiet(1)]);
  const { voice } = listen(pcm(samples));
  equal(voice.segments.length, 2);
  near(voice.segments[0].toMs, 2150, 40);
});

const at = (segments, open = null) => Object.assign(new VoiceActivity(), { segments, open });

test("voice end: of a text that came, the voice that had ended last", () => {
  const voice = at([{ fromMs: 100, toMs: 500 }, { fromMs: 700, toMs: 1200 }]);
  equal(voice.endBefore(1800, -Infinity), 1200);
});

test("voice end: a voice that began again before the text came is the next turn's", () => {
  const voice = at([{ fromMs: 100, toMs: 500 }], { fromMs: 900, toMs: 1200 });
  equal(voice.endBefore(1210, -Infinity), 500);
});

test("voice end: a voice that has just fallen silent has ended, if the text is there already", () => {
  const voice = at([{ fromMs: 100, toMs: 500 }], { fromMs: 600, toMs: 1000 });
  equal(voice.endBefore(1150, -Infinity), 1000);
});

test("voice end: what belonged to the turn before is not measured again", () => {
  const voice = at([{ fromMs: 100, toMs: 500 }]);
  equal([voice.endBefore(3000, 1000), voice.endBefore(3000, 400)], [null, 500]);
});

test("voice end: a text in the middle of the only voice took no time", () => {
  equal(at([], { fromMs: 100, toMs: 1990 }).endBefore(2000, -Infinity), 1990);
});

test("voice begin: the first voice of the turn", () => {
  const voice = at([{ fromMs: 100, toMs: 500 }, { fromMs: 900, toMs: 1200 }], { fromMs: 1500, toMs: 1600 });
  equal([voice.beginAfter(-Infinity), voice.beginAfter(600), voice.beginAfter(1300), voice.beginAfter(1700)], [100, 900, 1500, null]);
});
