"""Recognition: version 1 here, version 2 in ``flux``; the model decides."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from waav.errors import BadRequest
from waav.providers.deepgram.account import HOST, authorization
from waav.providers.deepgram.audio import described
from waav.providers.deepgram.flux import FluxListen
from waav.providers.deepgram.messages import message, probability, reported, words
from waav.providers.deepgram.options import LISTEN_OPTIONS
from waav.speech import vendor_options, wire
from waav.speech.account import base_address
from waav.speech.provider import Account, ListenSettings

LISTEN_MODEL = "nova-3"


def listen(settings: ListenSettings, account: Account) -> wire.Dialogue:
    """The dialogue that suits the model."""
    model = vendor_options.model_name("deepgram", settings.model or LISTEN_MODEL)
    if model.startswith("aura-"):
        raise BadRequest(f"deepgram: {model} is a voice, it recognises no speech")
    if model.startswith("flux-"):
        return FluxListen(settings, account, model)
    return Listen(settings, account, model)


class Listen:
    """Audio in, transcripts out (version 1)."""

    def __init__(self, settings: ListenSettings, account: Account, model: str) -> None:
        self.format = settings.format
        if self.format.encoding in ("float32", "float16"):
            self.format = replace(self.format, encoding="linear16")
        chosen = vendor_options.read("deepgram", LISTEN_OPTIONS, settings.options, account.options)
        chosen = _fit(model, settings.language, chosen, settings.options)
        values: dict[str, Any] = {"model": model}
        if settings.language and settings.language != "auto":
            values["language"] = settings.language
        values |= described(self.format)
        if self.format.container == "raw":
            values["channels"] = self.format.channels
        values["punctuate"] = settings.punctuation
        values |= {"interim_results": True, "smart_format": True, "endpointing": 200} | chosen
        if values["interim_results"]:
            values.setdefault("utterance_end_ms", 1000)
        if values.get("utterance_end_ms") is False:
            del values["utterance_end_ms"]
        base = base_address(account, HOST, is_socket=True)
        self.opening = wire.Opening(
            f"{base}/v1/listen?{urlencode(vendor_options.query(values))}",
            authorization(account),
            keepalive_s=4.0,
            resumes=self.format.is_raw,
            takes_audio_as_it_is=True,
        )
        self._has_open_final = False
        self._covered: dict[int, float] = {}

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        match command:
            case wire.Audio(data):
                # An empty frame would count as the end of the audio.
                return [data] if data else []
            case wire.KeepAlive():
                return ['{"type":"KeepAlive"}']
            case wire.Flush():
                return ['{"type":"Finalize"}']
            case wire.Finish():
                return ['{"type":"CloseStream"}']
        return []

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        body = message(incoming)
        match body["type"]:
            case "Results":
                return self._results(body)
            case "UtteranceEnd" if self._has_open_final:
                self._has_open_final = False
                return [wire.Transcript("", is_final=True, is_speech_final=True)]
            case "SpeechStarted":
                return [wire.SpeechStarted(float(body["timestamp"]))]
            case "Error":
                return [reported(body)]
            case "ConfigureFailure":
                return [wire.Warned(f"deepgram refused a change: {body.get('description', '')}")]
        return []

    def _results(self, body: dict[str, Any]) -> list[wire.Event]:
        best = body["channel"]["alternatives"][0]
        text = str(best["transcript"]).strip()
        is_final = bool(body["is_final"])
        is_speech_final = is_final and bool(body["speech_final"] or body.get("from_finalize"))
        if not is_final and not text:
            return []
        end_s = self._cover(body) if is_final else None
        if is_speech_final:
            self._has_open_final = False
        elif is_final and text:
            self._has_open_final = True
        # A blank final is said all the same: it tells the link up to where the audio is dealt with.
        channel = body["channel_index"] if body.get("channel_index", [0, 1])[1] > 1 else None
        spoken_in = best.get("languages") or [None]
        return [
            wire.Transcript(
                text,
                is_final,
                is_speech_final,
                probability(best.get("confidence")),
                end_s,
                words(best.get("words", ()), f"channel {channel[0]}" if channel else None),
                spoken_in[0],
            )
        ]

    def _cover(self, body: Mapping[str, Any]) -> float:
        """Up to where every channel has its final."""
        index, count = body.get("channel_index", [0, 1])
        self._covered[index] = float(body["start"]) + float(body["duration"])
        return min(self._covered.get(one, 0.0) for one in range(count))


def _fit(
    model: str, language: str, chosen: dict[str, Any], asked: Mapping[str, Any]
) -> dict[str, Any]:
    """Without the options that Deepgram would answer with 400 for this model.

    Raises:
        BadRequest: it was the caller who asked for one; an operator's is only a wish.
    """
    is_nova3 = model.startswith("nova-3")
    wrong = {
        "keywords": "is not for nova-3 models; use 'keyterm'" if is_nova3 else "",
        "keyterm": "" if is_nova3 else f"needs a nova-3 model, not {model}",
        "language_hint": "" if is_nova3 and language == "multi" else "needs nova-3 and 'multi'",
        "utterance_end_ms": (
            "needs interim_results" if chosen.get("interim_results") is False else ""
        ),
    }
    for name, why in wrong.items():
        if why and asked.get(name):
            raise BadRequest(f"deepgram: option {name!r} {why}")
    return {name: value for name, value in chosen.items() if not wrong.get(name)}
