// When a caller's voice silences the gateway's. What counts is what is being heard, not what was sent: speech is sent
// faster than it plays, so the gateway is through with a sentence long before the caller has heard it.

export class BargeIn {
  // `isOn()` and `isHeard()` are asked each time; `interrupt(cause)` is called when the caller speaks over the gateway.
  constructor({ isOn, isHeard, interrupt }) {
    this.isOn = isOn;
    this.isHeard = isHeard;
    this.interrupt = interrupt;
  }

  // The page hears a voice in the microphone. Told again and again while it goes on: something may begin to sound.
  voice() {
    this.consider("voice");
  }

  // The recogniser has understood something, for certain or not. A forced text only repeats what came before.
  text(result) {
    if (result.transcript.trim() && !result.forced) this.consider(result.is_final ? "final" : "partial");
  }

  consider(cause) {
    if (this.isOn() && this.isHeard()) this.interrupt(cause);
  }
}
