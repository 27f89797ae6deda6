// A button that plays a sound, and stops it when it is pressed again.
import { make } from "./dom.js";

// `play(ended)` begins to play, returns what stops it, and calls `ended` when it is over, stopped or not.
export function playButton(label, word, play) {
  const [idle, busy] = word ? [`▶ ${word}`, "■ Stop"] : ["▶", "■"];
  const button = make("button", { type: "button", className: "play", attributes: { "aria-label": label, "aria-pressed": "false" } }, idle);
  let stop = null;
  const show = (isPlaying) => {
    button.textContent = isPlaying ? busy : idle;
    button.setAttribute("aria-pressed", String(isPlaying));
  };
  button.onclick = () => {
    if (stop) {
      stop();
      return;
    }
    show(true);
    stop = play(() => {
      stop = null;
      show(false);
    });
  };
  return button;
}
