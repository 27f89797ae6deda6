"""Speech to text in the process: Moonshine tiny, English, whole utterances that Silero VAD cuts out.

Each gets 0.2 s of silence on both sides. Measured on telephone prompts: 3.8 % of the words come out wrong with it,
5.3 % without.
The library's own VAD is switched off; it answers "You" to silence and splits sentences in the middle.

What a conversation (``Listening``) hears and says:

- bytes: linear16, mono, 16 kHz, any whole number of samples.
- text ``{"do": "flush"}``: end the utterance now. ``{"do": "finish"}``: the same, and nothing follows.
- answers, one JSON text each, times in seconds from the start of the stream:
  ``{"kind": "started", "at_s"}``, ``{"kind": "partial", "text", "end_s"}``,
  ``{"kind": "final", "text", "is_end", "end_s"}`` and ``{"kind": "ended", "at_s"}``.

A partial may change with the next; a final never does, and accounts for its audio alone. ``is_end`` is false only
for the beginning of an utterance that was cut because it got too long. A final with ``is_end`` and no text comes
when nothing was said after such a cut. There is no score: the tiny model offers none.
"""

import ctypes
import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from waav.models import packaged, vad
from waav.models.vad import RATE_HZ, Clip, Cut, Ended, Rules, Samples, SpeechSegments, Started
from waav.speech import wire

MODEL: Final = "moonshine-tiny-en"
_PAD: Final = np.zeros(RATE_HZ // 5, np.float32)
_PARTIAL_S: Final = 0.5
_PARTIAL_SHARE: Final = 1 / 8
"""A partial waits for new speech of an eighth of the utterance, so that long ones do not cost ever more: at a real
time factor of 0.03 that is a quarter of a core for every caller who speaks at the moment."""

_PARTIAL_REST: Final = 2.0
"""A partial also waits for this many times the seconds that the last recognition took, waiting for the model
included. Where calls share too few cores, partials come less often and finals still come in time."""


class Model(Protocol):
    """Recognises whole utterances."""

    def recognise(self, samples: Samples) -> str:
        """The words in ``samples`` (float32, mono, 16 kHz)."""


class Moonshine:
    """The loaded model. Blocks while it recognises; safe to call from several threads.

    The library writes each answer into a buffer that belongs to the loaded model. Tried: several threads on one
    handle at once got garbled text. Hence the lock.

    Raises:
        ModelMissing: the files in the package are not the pinned ones.
    """

    def __init__(self) -> None:
        # Loads a native library of 42 MB, so not at import. It must stay version 0.1.0: later ones have no weights.
        from moonshine_voice import moonshine_api, transcriber, utils

        folder = Path(utils.get_model_path("tiny-en"))
        packaged.MOONSHINE.verify(folder)
        self._answer_type = moonshine_api.TranscriptC
        self._lock = threading.Lock()
        self._transcriber = transcriber.Transcriber(
            str(folder),
            moonshine_api.ModelArch.TINY,
            options={"vad_threshold": "0", "return_audio_data": "false"},
        )
        self.recognise(
            np.zeros(RATE_HZ, np.float32)
        )  # the first call allocates; no caller should wait for it

    def recognise(self, samples: Samples) -> str:
        """The words in ``samples`` (float32, mono, 16 kHz); "" if there are none."""
        audio = np.ascontiguousarray(np.concatenate([_PAD, samples, _PAD]), np.float32)
        # The public method builds a Python list of every sample first: 30 ms for 10 s of audio.
        pointer = audio.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        answer = ctypes.POINTER(self._answer_type)()
        with self._lock:
            code = self._transcriber._lib.moonshine_transcribe_without_streaming(
                self._transcriber._handle, pointer, len(audio), RATE_HZ, 0, ctypes.byref(answer)
            )
            if code < 0:
                raise RuntimeError(f"moonshine failed with code {code}")
            return _text(answer.contents)


def _text(answer: Any) -> str:
    lines = [answer.lines[number].text for number in range(answer.line_count)]
    texts = [ctypes.string_at(line).decode("utf-8", "ignore") for line in lines if line]
    return " ".join(" ".join(texts).split())


class Listening:
    """One conversation: a stream of audio in, partial and final texts out.

    Args:
        model: shared by all conversations.
        segments: of this stream alone.
        seconds: a clock that only goes forward.
    """

    def __init__(
        self,
        model: Model,
        segments: SpeechSegments,
        seconds: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._model = model
        self._segments = segments
        self._seconds = seconds
        self._took_s = 0.0
        self._known: tuple[float, float, str] = (
            -1.0,
            0.0,
            "",
        )  # start, end and text of the last recognition
        self._shown = ""
        self._was_cut = False

    def feed(self, outgoing: str | bytes) -> Iterator[str]:
        """Recognises what there is; at most one partial for each call, however much audio it brings."""
        if isinstance(outgoing, str):
            if json.loads(outgoing)["do"] not in ("flush", "finish"):
                raise ValueError(f"a listening model knows flush and finish, not {outgoing}")
            changes = self._segments.finish()
        else:
            changes = self._segments.feed(vad.pcm16(outgoing))
        for change in changes:
            yield from self._told(change)
        clip = self._segments.open_clip()
        if clip is not None and self._is_due(clip):
            yield from self._partial(clip)

    def close(self) -> None:
        """Nothing to give back; the network state goes with the object."""

    def _told(self, change: vad.Change) -> Iterator[str]:
        match change:
            case Started(at_s):
                yield json.dumps({"kind": "started", "at_s": round(at_s, 3)})
            case Cut(clip):
                yield from self._final(clip, clip.end_s, is_end=False)
            case Ended(clip, at_s):
                yield from self._final(clip, at_s, is_end=True)
                yield json.dumps({"kind": "ended", "at_s": round(at_s, 3)})

    def _final(self, clip: Clip, end_s: float, *, is_end: bool) -> Iterator[str]:
        text = self._recognised(clip)
        if text or (is_end and self._was_cut):
            final = {"kind": "final", "text": text, "is_end": is_end, "end_s": round(end_s, 3)}
            yield json.dumps(final)
        self._was_cut = not is_end and (bool(text) or self._was_cut)
        self._known = (-1.0, 0.0, "")
        self._shown = ""

    def _is_due(self, clip: Clip) -> bool:
        start_s, end_s, _text = self._known
        new_s = clip.end_s - (end_s if start_s == clip.start_s else clip.start_s)
        if new_s <= 0 or not clip.is_speech:
            return False
        length_s = clip.end_s - clip.start_s
        # In a pause at once: if the pause turns out to be the end, its final is this text and costs nothing more.
        if self._segments.is_pausing and self._took_s < _PARTIAL_S:
            return True
        return new_s >= max(_PARTIAL_S, length_s * _PARTIAL_SHARE, self._took_s * _PARTIAL_REST)

    def _partial(self, clip: Clip) -> Iterator[str]:
        text = self._recognised(clip)
        if text and text != self._shown:
            self._shown = text
            yield json.dumps({"kind": "partial", "text": text, "end_s": round(clip.end_s, 3)})

    def _recognised(self, clip: Clip) -> str:
        if not clip.is_speech:
            return ""
        if self._known[:2] != (clip.start_s, clip.end_s):
            began = self._seconds()
            self._known = (clip.start_s, clip.end_s, self._model.recognise(clip.samples))
            self._took_s = self._seconds() - began
        return self._known[2]


def local(rules: Rules, load: Callable[[], Model] = Moonshine) -> wire.Local:
    """The model for an ``engine:`` address, with conversations that cut speech by ``rules``."""

    return wire.Local(MODEL, load, partial(_begin, rules))


def _begin(rules: Rules, model: Model) -> wire.Engine:
    return Listening(model, SpeechSegments(vad.silero(), rules))
