// The two ends of the page's sound in the browser's audio graph. Browsers give audio worklets to secure pages only;
// elsewhere the same code runs in a script processor, on the page's own thread.
import { Blocks } from "./blocks.js";
import { Player } from "./player.js";

const SCRIPT_FRAMES = 1024; // 21 ms: less is not heard without gaps when the page is busy

const beside = (name) => new URL(name, import.meta.url);

// A node to connect sources to; `take(block, atS)` is given what they sound like.
export async function captureNode(context, take) {
  if (context.audioWorklet) {
    await context.audioWorklet.addModule(beside("capture-worklet.js"));
    const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => take(data.block, data.atS);
    return node;
  }
  const blocks = new Blocks(context.sampleRate, take);
  const node = context.createScriptProcessor(SCRIPT_FRAMES, 1, 1);
  node.onaudioprocess = ({ inputBuffer }) => {
    blocks.feed([inputBuffer.getChannelData(0)], context.currentTime - inputBuffer.duration);
  };
  node.connect(context.destination); // without which it is never called
  return node;
}

// A node that plays what it is ordered to; `tell(event)` is told what of it is heard (see player.js).
export async function playbackNode(context, tell) {
  if (context.audioWorklet) {
    await context.audioWorklet.addModule(beside("playback-worklet.js"));
    const node = new AudioWorkletNode(context, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
    node.port.onmessage = ({ data }) => tell(data);
    return { node, order: (order) => node.port.postMessage(order) };
  }
  const player = new Player(context.sampleRate, tell);
  const node = context.createScriptProcessor(SCRIPT_FRAMES, 1, 1);
  node.onaudioprocess = ({ outputBuffer, playbackTime }) => {
    player.play([outputBuffer.getChannelData(0)], playbackTime ?? context.currentTime);
  };
  return { node, order: (order) => player.order(order, context.currentTime) };
}
