// Runs on the audio thread: plays the queue.
import { Player } from "./player.js";

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.player = new Player(sampleRate, (event) => this.port.postMessage(event));
    this.port.onmessage = ({ data }) => this.player.order(data, currentTime);
  }

  process(inputs, [channels]) {
    this.player.play(channels, currentTime);
    return true;
  }
}

registerProcessor("playback", Playback);
