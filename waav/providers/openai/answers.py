"""Transcripts in each form that the API answers in."""

import json
import math
from collections.abc import Mapping
from typing import Any

from waav.speech import wire

Read = tuple[str, float, tuple[wire.Word, ...], str | None]


def read(form: str, answer: bytes, start_s: float) -> Read:
    """Text, confidence, words and language of an answer."""
    plain = answer.decode("utf-8").strip()
    if form == "text":
        return plain, 1.0, (), None
    if form in ("srt", "vtt"):
        return _without_cues(plain), 1.0, (), None
    body = json.loads(plain)
    segments = [one for one in body.get("segments") or () if not _is_hallucinated(one)]
    text = str(body["text"]).strip()
    if len(segments) < len(body.get("segments") or ()):
        text = " ".join(str(one["text"]).strip() for one in segments)
    return text, _confidence(body, segments), _words(body, start_s), body.get("language")


def _is_hallucinated(segment: Mapping[str, Any]) -> bool:
    """Whisper invents text for silence and says so in these two numbers."""
    return (
        float(segment.get("no_speech_prob", 0)) > 0.6 and float(segment.get("avg_logprob", 0)) < -1
    )


def _confidence(body: Mapping[str, Any], segments: list[Mapping[str, Any]]) -> float:
    weighed = [
        (max(0.0, float(one["end"]) - float(one["start"])), math.exp(float(one["avg_logprob"])))
        for one in segments
        if "avg_logprob" in one
    ]
    total = sum(length for length, _ in weighed)
    if total > 0:
        return _probability(sum(length * sure for length, sure in weighed) / total)
    logprobs = [float(one["logprob"]) for one in body.get("logprobs") or ()]
    if logprobs:
        return _probability(math.exp(sum(logprobs) / len(logprobs)))
    return 1.0


def _words(body: Mapping[str, Any], start_s: float) -> tuple[wire.Word, ...]:
    """Words with their times; of a diarised answer its segments, with their speakers."""
    timed: list[tuple[str, Any, str | None]]
    timed = [(str(one["word"]), one, None) for one in body.get("words") or ()]
    if not timed:
        spoken = [one for one in body.get("segments") or () if "speaker" in one]
        timed = [(str(one["text"]).strip(), one, str(one["speaker"])) for one in spoken]
    return tuple(
        wire.Word(text, start_s + float(one["start"]), start_s + float(one["end"]), None, speaker)
        for text, one, speaker in timed
    )


def _without_cues(subtitles: str) -> str:
    """The text of an SRT or WebVTT file."""
    lines = [line.strip() for line in subtitles.splitlines()]
    return " ".join(
        line
        for line in lines
        if line and "-->" not in line and not line.isdigit() and not line.startswith("WEBVTT")
    )


def _probability(value: float) -> float:
    return min(1.0, max(0.0, value)) if value == value else 0.0
