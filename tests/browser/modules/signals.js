// Sounds to test with.

// A sine of `hz`.
export function tone(hz, rateHz, seconds, amplitude = 0.5) {
  return Float32Array.from({ length: Math.round(rateHz * seconds) }, (_, i) => amplitude * Math.sin((2 * Math.PI * hz * i) / rateHz));
}

// 16-bit samples of it.
export const pcm = (samples) => Int16Array.from(samples, (value) => Math.round(value * 32767));

// Noise, the same each time.
export function noise(length, amplitude) {
  let state = 1;
  return Float32Array.from({ length }, () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return amplitude * (state / 1073741824 - 1);
  });
}

// How loud the samples are at `hz`, as the amplitude of a sine.
export function amplitudeAt(samples, hz, rateHz) {
  let real = 0;
  let imaginary = 0;
  samples.forEach((value, i) => {
    real += value * Math.cos((2 * Math.PI * hz * i) / rateHz);
    imaginary += value * Math.sin((2 * Math.PI * hz * i) / rateHz);
  });
  return (2 * Math.hypot(real, imaginary)) / samples.length;
}

// The samples in blocks of 20 ms at 16 kHz.
export function* blocks(samples) {
  for (let i = 0; i + 320 <= samples.length; i += 320) yield samples.subarray(i, i + 320);
}
