// What went wrong, in the words of the person at the page, and what to do about it.
//
// A problem is {title, advice, detail, actions}: `detail` is what the gateway said itself (or, with `more`, what that
// says it is), `actions` name what the page offers ("again": call again, "settings": look at the choices).

const OPERATOR = "whoever runs this gateway";

// An `error` message of the gateway; `vendors` is {stt, tts}, each {name, title} of who was asked for.
export function ofMessage({ message, code }, vendors) {
  const said = plain(message);
  const vendor = concerned(message, vendors);
  const [title, advice, ...actions] = (BY_CODE[code] ?? other)(said, vendor);
  return { title, advice, detail: message, actions };
}

const BY_CODE = {
  missing_credentials: (said, { name, title }) => [
    `This gateway has no key for ${title}.`,
    `Enter a key of your own in the settings, or choose the embedded voices, which need none. With ` +
      `providers.${name}.api_key in its configuration, the gateway has one for everybody.`,
    "settings", "again",
  ],
  provider_refused: (said, { title }) => refused(said, title),
  provider_busy: (said, { title }) => (/HTTP 429|jobs wait|limit/i.test(said)
    ? [`${title} has too much to do just now.`, "Wait a moment, then call again.", "again"]
    : [`${title} has trouble of its own just now.`, "Call again in a moment, or choose another vendor.", "again", "settings"]),
  provider_lost: (said, { title }) => [
    `The gateway lost ${title}, or cannot reach it.`,
    `Call again. If it stays so, the gateway's own way into the internet is closed, or ${title} is down: ask ${OPERATOR}.`,
    "again", "settings",
  ],
  provider_timeout: (said, { title }) => [
    `${title} did not answer in time.`, "Call again, or choose another vendor.", "again", "settings",
  ],
  provider_protocol_error: (said, { title }) => [
    `${title} answered something that the gateway does not understand.`,
    `Try another model or voice. If it stays so, tell ${OPERATOR}: the log has the details.`, "settings", "again",
  ],
  model_missing: (said) => [
    "This gateway does not have the model that was asked for; the call goes on without it.",
    `${sentence(said)} Or leave the choice to the gateway.`, "settings",
  ],
  internal_error: () => [
    "Something broke inside the gateway.", `Call again. Its log says what happened: tell ${OPERATOR}.`, "again",
  ],
  idle: () => ["The gateway ended the call: nothing was said for too long.", "Call again when you want to go on.", "again"],
};

function refused(said, title) {
  if (/HTTP 40[13]|\bkey\b|auth/i.test(said)) {
    return [`${title} does not accept the key.`, `Check the key in the settings; without one of your own, tell ${OPERATOR}.`, "settings", "again"];
  }
  if (/HTTP 402|quota|credit|balance|billing/i.test(said)) {
    return [`The account with ${title} is used up.`, `It must be topped up at ${title}; until then choose another vendor.`, "settings"];
  }
  return [`${title} refuses these settings.`, `${sentence(said)} Change model, language or voice in the settings.`, "settings", "again"];
}

function other(said) {
  return ["The gateway cannot do this as asked.", sentence(said), "settings", "again"];
}

// A connection that was closed; null where that is what the person wanted. `answers` tells whether the gateway still
// answers other requests, `isOnline` what the browser knows of its network.
export function ofClose({ code, reason, wasReady, wasOurs }, { answers, isOnline }) {
  if (wasOurs) return null;
  const detail = `connection closed, code ${code}${reason ? `, ${reason}` : ""}`;
  const problem = (title, advice) => ({ title, advice, detail, actions: ["again"] });
  if (/inactivity/.test(reason)) return { ...ofMessage({ message: reason, code: "idle" }, {}), detail };
  if (!isOnline) return problem("This device is offline.", "Connect it to a network, then call again.");
  if (code === 1001) return problem("The gateway is being stopped or started anew.", "Call again in a few seconds.");
  if (code === 1011) return problem("Something broke inside the gateway, and the call with it.", `Call again. Its log says what happened: tell ${OPERATOR}.`);
  if (!answers) {
    return problem(
      wasReady ? "The connection to the gateway is lost." : "The gateway does not answer.",
      `Check this device's network. If that is fine, the gateway is not running: ask ${OPERATOR} to start it, then call again.`,
    );
  }
  if (wasReady) return problem("The connection to the gateway broke off.", "The gateway is there again: call again.");
  return problem(
    "The gateway is there, but took no call from this page.",
    `It may have all the calls it takes (security.max_websocket_connections, max_connections_per_ip), or not know this ` +
      `page's address (security.cors_allowed_origins). Call again, or ask ${OPERATOR}.`,
  );
}

// What the browser said when it was asked for the microphone.
export function ofMicrophone(error) {
  const [title, advice] = MICROPHONE[error.name] ?? [
    "The microphone cannot be used.", "Choose another one in the settings, or send a sound file.",
  ];
  return { title, advice, detail: `${error.name}: ${error.message}`, actions: ["settings"] };
}

const MICROPHONE = {
  NotAllowedError: [
    "The browser does not let this page use the microphone.",
    "Allow it with the sign beside the page's address, then start the microphone again. Typing and sound files work without.",
  ],
  NotFoundError: [
    "There is no microphone.", "Connect one and start it, or type, or send a sound file.",
  ],
  NotReadableError: [
    "The microphone is there, but gives no sound.", "Another program may have it: close that, then start it again.",
  ],
};

// Why a page of this address has no microphone.
export function ofAddress({ protocol, host, hostname, port }) {
  return {
    title: "No microphone at this address; everything else works.",
    advice: `Browsers give it only to pages that nobody on the way can change: https, or http://localhost. This one is ` +
      `${protocol}//${host}. Type, or send a sound file.`,
    more: "How to have a microphone here",
    detail: `Switch TLS on in the gateway's configuration (server.tls), or bring its port to this machine with ` +
      `ssh -L ${port || 80}:localhost:${port || 80} ${hostname} and open http://localhost:${port || 80}/console.`,
    actions: [],
  };
}

export const UNPLUGGED = {
  title: "The microphone is gone.",
  advice: "Connect it again, or choose another one in the settings, then start the microphone. The call goes on.",
  detail: "",
  actions: ["settings"],
};

// What the gateway did otherwise than it was asked.
export const ofWarning = (warning) => ({ title: "The gateway does something else than was asked.", advice: sentence(warning), detail: "", actions: [] });

// A sound file that cannot be played into the call.
export const ofFile = (name) => ({
  title: `${name} is not a sound that this browser can read.`,
  advice: "WAV, MP3, M4A, FLAC and Ogg work in most browsers.",
  detail: "",
  actions: [],
});

// The gateway is there, but does not tell whom it knows.
export const ofOffer = (error) => ({
  title: "The gateway does not say what it offers.",
  advice: `Call again in a moment. If it stays so, tell ${OPERATOR}.`,
  detail: error.message,
  actions: ["again"],
});

// What a mistake of the page's own, or in a field of it, says.
export const ofError = (error) => ({ title: error.message, advice: "", detail: "", actions: [] });

// The gateway's text without the words that only its clients know.
function plain(message) {
  return message.replace(/^((Failed to (create|start) voice manager|STT streaming error|TTS error|Invalid message format): )+/, "");
}

// Whose fault it is: the vendor that the text names, else the one whose half the text is about.
function concerned(message, { stt, tts }) {
  const named = [stt, tts].find((one) => one && [one.name, one.title].some((name) => message.includes(name)));
  const half = /TTS|speech synthesis/i.test(message) ? tts : stt;
  return named ?? half ?? { name: "...", title: "the vendor" };
}

function sentence(text) {
  const trimmed = text.trim();
  return /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}
