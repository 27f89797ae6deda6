// How loud 16-bit sound is.

// Decibels below full scale; -100 for silence.
export function loudness(pcm) {
  let sum = 0;
  for (let i = 0; i < pcm.length; i += 1) sum += pcm[i] * pcm[i];
  return decibels(Math.sqrt(sum / Math.max(1, pcm.length)) / 32768);
}

export function decibels(amplitude) {
  return Math.max(-100, 20 * Math.log10(amplitude));
}

// 0 to 1, for a meter: quiet speech is seen, and loud speech does not fill it.
export function fullness(db) {
  return Math.max(0, Math.min(1, (db + 48) / 44)) ** 1.6;
}
