// Puts recognised texts together: partials and finals become turns, a turn ends with a speech-final.

export class Turns {
  constructor() {
    this.last = 0;
    this.forget();
  }

  // What a `stt_result` makes of the turn that is being spoken: {id, text, isOver}, or null if it says nothing.
  // `text` is all of the turn so far, with what may still change at its end.
  take(result) {
    const text = result.transcript.trim();
    if (!result.is_final) {
      this.partial = text;
    } else {
      this.partial = "";
      if (result.forced) this.finals = text ? [text] : this.finals; // the whole turn once more
      else if (text) this.finals.push(text);
    }
    const said = [...this.finals, this.partial].filter(Boolean).join(" ");
    if (!said) return null;
    const turn = { id: this.id, text: said, isOver: result.is_final && result.is_speech_final };
    if (turn.isOver) this.forget();
    return turn;
  }

  // The turn that is being spoken will never be over: the call was.
  forget() {
    this.last += 1;
    this.id = `you-${this.last}`;
    this.finals = [];
    this.partial = "";
  }
}
