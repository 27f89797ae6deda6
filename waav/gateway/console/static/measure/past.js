// The last seconds of what the microphone heard, to play a turn of the caller again.

const KEPT_MS = 60000;

export class Past {
  constructor() {
    this.blocks = []; // {block, atMs}
  }

  // A block that ended at `atMs`.
  add(block, atMs) {
    this.blocks.push({ block, atMs });
    while (this.blocks[0].atMs < atMs - KEPT_MS) this.blocks.shift();
  }

  // What was heard between two moments.
  between(fromMs, toMs) {
    const found = this.blocks.filter(({ atMs }) => atMs > fromMs && atMs <= toMs).map(({ block }) => block);
    const pcm = new Int16Array(found.reduce((sum, block) => sum + block.length, 0));
    let at = 0;
    for (const block of found) {
      pcm.set(block, at);
      at += block.length;
    }
    return pcm;
  }
}
