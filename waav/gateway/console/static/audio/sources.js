// Where the caller's sound comes from: a microphone, or a file.

// Whether this page may have a microphone at all.
export const canListen = () => Boolean(navigator.mediaDevices?.getUserMedia);

// The stream of the microphone, of `deviceId` if that is there.
export async function openMicrophone({ deviceId, echoCancellation }) {
  const audio = { channelCount: 1, echoCancellation, noiseSuppression: false, autoGainControl: true };
  if (!deviceId) return navigator.mediaDevices.getUserMedia({ audio });
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { ...audio, deviceId: { exact: deviceId } } });
  } catch (error) {
    if (error.name !== "OverconstrainedError") throw error;
    return navigator.mediaDevices.getUserMedia({ audio }); // it was unplugged
  }
}

// The devices of a kind, `audioinput` or `audiooutput`; without names until the microphone was allowed once.
export async function devices(kind) {
  const found = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return found.filter((one) => one.kind === kind && one.deviceId);
}

// A node that sounds like the file, in real time, and is silent afterwards, so that the end of speech is noticed.
export async function fileSource(context, file, ended) {
  const buffer = await context.decodeAudioData(await file.arrayBuffer());
  const player = context.createBufferSource();
  player.buffer = buffer;
  const node = context.createGain();
  // With no source running, no blocks come, not even silent ones.
  const silence = context.createConstantSource();
  silence.offset.value = 0;
  player.connect(node);
  silence.connect(node);
  player.onended = ended;
  return {
    node,
    start: () => {
      silence.start();
      player.start();
    },
    stop: () => {
      player.onended = null;
      silence.stop();
      player.stop();
      node.disconnect();
    },
  };
}
