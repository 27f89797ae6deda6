// Sound that can be played again: kept by name until there is too much of it, the oldest dropped first.

export class Shelf {
  constructor(mostBytes) {
    this.mostBytes = mostBytes;
    this.bytes = 0;
    this.kept = new Map(); // name -> {pieces, rateHz, bytes}
  }

  // More of the sound named `name`: 16-bit samples.
  add(name, pcm, rateHz) {
    const sound = this.kept.get(name) ?? { pieces: [], rateHz, bytes: 0 };
    this.kept.set(name, sound);
    sound.pieces.push(pcm);
    sound.bytes += pcm.byteLength;
    this.bytes += pcm.byteLength;
    for (const oldest of this.kept.keys()) {
      if (this.bytes <= this.mostBytes || oldest === name) break;
      this.drop(oldest);
    }
  }

  drop(name) {
    this.bytes -= this.kept.get(name)?.bytes ?? 0;
    this.kept.delete(name);
  }

  // {pcm, rateHz}, or null.
  sound(name) {
    const sound = this.kept.get(name);
    if (!sound) return null;
    const pcm = new Int16Array(sound.bytes / 2);
    let at = 0;
    for (const piece of sound.pieces) {
      pcm.set(piece, at);
      at += piece.length;
    }
    return { pcm, rateHz: sound.rateHz };
  }
}
