"""Recognition of version 2: whole turns, from the models named ``flux-*``."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from waav.errors import BadRequest
from waav.providers.deepgram.account import HOST, authorization
from waav.providers.deepgram.audio import described, nearest
from waav.providers.deepgram.messages import broken, message, probability
from waav.providers.deepgram.options import FLUX_LISTEN_OPTIONS
from waav.speech import vendor_options, wire
from waav.speech.account import base_address
from waav.speech.audio import SAMPLE_BYTES, AudioFormat
from waav.speech.provider import Account, ListenSettings

_FLUX_RATES = (8000, 16000, 24000, 44100, 48000)


class FluxListen:
    """Audio in, turns out (version 2)."""

    def __init__(self, settings: ListenSettings, account: Account, model: str) -> None:
        self.format = _flux_format(settings.format)
        chosen = vendor_options.read(
            "deepgram", FLUX_LISTEN_OPTIONS, settings.options, account.options
        )
        if "language_hint" in chosen and not model.endswith("-multi"):
            raise BadRequest("deepgram: option 'language_hint' needs a multilingual model")
        values = {"model": model} | described(self.format) | chosen
        base = base_address(account, HOST, is_socket=True)
        self.opening = wire.Opening(
            f"{base}/v2/listen?{urlencode(vendor_options.query(values))}",
            authorization(account),
            says_ready=True,
            keepalive_s=4.0 if self.format.is_raw else None,
            resumes=self.format.is_raw,
        )
        self._sent_bytes = 0
        self._silences: list[tuple[float, float]] = []

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        match command:
            case wire.Audio(data):
                self._sent_bytes += len(data)
                return [data] if data else []
            case wire.KeepAlive():
                return [self._silence()]
            case wire.Flush():
                return ['{"type":"ForceEndTurn"}']
            case wire.Finish():
                return ['{"type":"CloseStream"}']
        return []

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        body = message(incoming)
        match body["type"]:
            case "Connected":
                return [wire.Ready()]
            case "TurnInfo":
                return self._turn(body)
            case "Error":
                raise broken(body)
            case "Warning":
                return [wire.Warned(f"deepgram warns: {body.get('description', '')}")]
            case "ConfigureFailure":
                return [wire.Warned(f"deepgram refused a change: {body.get('description', '')}")]
        return []

    def _turn(self, body: Mapping[str, Any]) -> list[wire.Event]:
        text = str(body["transcript"]).strip()
        words = list(body.get("words", ()))
        sure = probability(
            sum(float(word["confidence"]) for word in words) / len(words) if words else 0.0
        )
        timed = tuple(self._word(word) for word in words if "start" in word and "end" in word)
        if body["event"] == "EndOfTurn":
            end_s = self._callers_time(float(body["audio_window_end"]))
            return [wire.Transcript(text, True, True, sure, end_s, timed)]
        events: list[wire.Event] = []
        if body["event"] == "StartOfTurn":
            events.append(wire.SpeechStarted(self._callers_time(float(body["audio_window_start"]))))
        if text:
            events.append(wire.Transcript(text, confidence=sure, words=timed))
        return events

    def _word(self, word: Mapping[str, Any]) -> wire.Word:
        start, end = self._callers_time(word["start"]), self._callers_time(word["end"])
        return wire.Word(word["word"], start, end, probability(word["confidence"]))

    def _silence(self) -> bytes:
        """There is no keep-alive message; silence does, and its length is taken out of all times."""
        silence = self.format.silence(0.1)
        at_s = self.format.duration_s(self._sent_bytes) or 0.0
        self._sent_bytes += len(silence)
        self._silences.append((at_s, self.format.duration_s(len(silence)) or 0.0))
        return silence

    def _callers_time(self, vendors_s: float) -> float:
        return vendors_s - sum(
            min(length, vendors_s - at) for at, length in self._silences if at < vendors_s
        )


def _flux_format(asked: AudioFormat) -> AudioFormat:
    """The nearest that Flux takes: one channel, one of its rates."""
    if not asked.is_raw:
        if asked.encoding == "opus" and asked.container in ("raw", "ogg"):
            return asked
        raise BadRequest(f"deepgram: flux models do not take {asked.encoding} in {asked.container}")
    encoding = "linear16" if asked.encoding.startswith("float") else asked.encoding
    if asked.rate_hz not in _FLUX_RATES and SAMPLE_BYTES[encoding] == 1:
        encoding = "linear16"
    rate_hz = nearest(asked.rate_hz, _FLUX_RATES)
    return AudioFormat(encoding, rate_hz)
