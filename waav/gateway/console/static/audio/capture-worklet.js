// Runs on the audio thread: what comes in, as blocks.
import { Blocks } from "./blocks.js";

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.blocks = new Blocks(sampleRate, (block, atS) => this.port.postMessage({ block, atS }, [block.buffer]));
  }

  process([channels]) {
    if (channels.length > 0) this.blocks.feed(channels, currentTime);
    return true;
  }
}

registerProcessor("capture", Capture);
