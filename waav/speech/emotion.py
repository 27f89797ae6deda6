"""How to say it: the protocol's words for emotions and styles (docs/protocol.md has them all), and phrases for
vendors that take instructions."""

from collections.abc import Mapping
from typing import Any, Final

from waav.errors import BadRequest
from waav.speech.provider import Emotion
from waav.speech.sentences import shorten

DEFAULT_INTENSITY: Final = 0.6
DESCRIPTION_LIMIT: Final = 100

EMOTION_PHRASES: Final[dict[str, str]] = {
    "neutral": "",
    "happy": "happy, joyful",
    "sad": "sad, melancholic",
    "angry": "angry, frustrated",
    "fearful": "frightened, scared",
    "surprised": "surprised, astonished",
    "disgusted": "disgusted, repulsed",
    "excited": "excited, enthusiastic, energetic",
    "calm": "calm, peaceful, relaxed",
    "anxious": "anxious, nervous, worried",
    "confident": "confident, assured, authoritative",
    "confused": "confused, uncertain, puzzled",
    "empathetic": "empathetic, understanding, compassionate",
    "sarcastic": "sarcastic, ironic, dry",
    "hopeful": "hopeful, optimistic, encouraging",
    "disappointed": "disappointed, let down, dejected",
    "curious": "curious, interested, inquisitive",
    "grateful": "grateful, thankful, appreciative",
    "proud": "proud, accomplished, satisfied",
    "embarrassed": "embarrassed, sheepish, awkward",
    "content": "content, satisfied, at peace",
    "bored": "bored, uninterested, disengaged",
}
"""Every emotion, with its words for a vendor that is told in words."""

STYLE_PHRASES: Final[dict[str, str]] = {
    "normal": "",
    "whispered": "whispered",
    "shouted": "shouted, loud",
    "rushed": "rushed, urgent, fast",
    "measured": "measured, deliberate, slow",
    "monotone": "monotone, flat",
    "expressive": "expressive, animated",
    "professional": "professional, business-like",
    "casual": "casual, conversational",
    "storytelling": "storytelling, narrative, engaging",
    "soft": "soft, gentle, tender",
    "loud": "loud, strong, emphatic",
    "cheerful": "cheerful, upbeat, bright",
    "serious": "serious, grave, solemn",
    "formal": "formal, proper, polished",
}
"""Every delivery style, with its words."""

EMOTIONS: Final = tuple(EMOTION_PHRASES)
STYLES: Final = tuple(STYLE_PHRASES)
INTENSITIES: Final[dict[str, float]] = {"low": 0.3, "medium": 0.6, "high": 1.0}

_EMOTION_ALIASES: Final[dict[str, str]] = {
    "happy": "joyful cheerful",
    "sad": "melancholic sorrowful",
    "angry": "frustrated mad",
    "fearful": "scared frightened afraid",
    "surprised": "shocked astonished",
    "disgusted": "repulsed",
    "excited": "enthusiastic energetic",
    "calm": "peaceful relaxed serene",
    "anxious": "nervous worried",
    "confident": "assured assertive",
    "confused": "uncertain puzzled",
    "empathetic": "compassionate understanding",
    "sarcastic": "ironic dry",
    "hopeful": "optimistic",
    "disappointed": "let_down",
    "curious": "inquisitive interested",
    "grateful": "thankful appreciative",
    "proud": "accomplished",
    "embarrassed": "sheepish",
    "content": "satisfied at_peace",
    "bored": "uninterested disengaged",
}
_STYLE_ALIASES: Final[dict[str, str]] = {
    "normal": "default",
    "whispered": "whisper quiet",
    "shouted": "shout",
    "rushed": "rush fast urgent",
    "measured": "slow deliberate careful",
    "monotone": "flat robotic",
    "expressive": "animated dynamic",
    "professional": "business",
    "casual": "informal conversational",
    "storytelling": "narrative story",
    "soft": "gentle tender",
    "loud": "strong",
    "cheerful": "upbeat bright",
    "serious": "grave solemn",
    "formal": "proper polished",
}
_INTENSITY_ALIASES: Final[dict[str, str]] = {
    "low": "subtle light",
    "medium": "moderate normal",
    "high": "strong maximum max",
}


def _by_spelling(names: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, str]:
    spelled = {alias: name for name, words in aliases.items() for alias in words.split()}
    return {**spelled, **{name: name for name in names}}


_EMOTION_NAMES: Final = _by_spelling(EMOTION_PHRASES, _EMOTION_ALIASES)
_STYLE_NAMES: Final = _by_spelling(STYLE_PHRASES, _STYLE_ALIASES)
_INTENSITY_NAMES: Final = _by_spelling(INTENSITIES, _INTENSITY_ALIASES)


def parse_emotion(fields: Mapping[str, Any]) -> Emotion | None:
    """The emotion of a ``tts_config``; other fields of it are ignored.

    Args:
        fields: ``emotion``, ``emotion_intensity``, ``delivery_style``, ``emotion_description``; absent, None and
            "" are the same.

    Returns:
        None if none of them says anything.

    Raises:
        BadRequest: an unknown word or a value of the wrong type; names the field.
    """
    emotion = Emotion(
        _word(fields, "emotion", _EMOTION_NAMES, EMOTIONS),
        _intensity(fields),
        _word(fields, "delivery_style", _STYLE_NAMES, STYLES),
        _description(fields),
    )
    return None if emotion == Emotion() else emotion


def phrase(emotion: Emotion) -> str:
    """In words, as in "very happy, joyful, whispered"; a free description replaces the rest; "" for plain speech."""
    if emotion.description:
        return emotion.description
    words = EMOTION_PHRASES[emotion.emotion or "neutral"]
    if words:
        words = _prefix(emotion.intensity) + words
    parts = [words, STYLE_PHRASES[emotion.style or "normal"]]
    return ", ".join(part for part in parts if part)


def instruction(emotion: Emotion) -> str:
    """A sentence for a vendor that is instructed in prose; "" for plain speech."""
    words = phrase(emotion)
    if not words or emotion.description:
        return words
    return f"Speak in a {words} manner."


def ignored(emotion: Emotion, provider: str) -> list[str]:
    """Warnings for a vendor that cannot express any of it; empty if plain speech was asked for anyway."""
    lost = []
    if emotion.emotion not in (None, "neutral"):
        lost.append(f"{provider} ignores emotion {emotion.emotion!r}")
    if emotion.style not in (None, "normal"):
        lost.append(f"{provider} ignores delivery_style {emotion.style!r}")
    if emotion.description:
        lost.append(f"{provider} ignores emotion_description")
    if emotion.intensity is not None and abs(emotion.intensity - DEFAULT_INTENSITY) > 0.2:
        lost.append(f"{provider} ignores emotion_intensity {emotion.intensity:g}")
    return lost


def _prefix(intensity: float | None) -> str:
    strength = DEFAULT_INTENSITY if intensity is None else intensity
    if strength >= 0.8:
        return "very "
    return "slightly " if strength <= 0.3 else ""


def _word(
    fields: Mapping[str, Any], field: str, names: Mapping[str, str], accepted: tuple[str, ...]
) -> str | None:
    value = fields.get(field)
    if value is None or value == "":
        return None
    name = names.get(_spelling(value)) if isinstance(value, str) else None
    if name is None:
        raise BadRequest(
            f"{field}: unknown value {_quoted(value)}; accepted: {', '.join(accepted)}"
        )
    return name


def _intensity(fields: Mapping[str, Any]) -> float | None:
    value = fields.get("emotion_intensity")
    if value is None or value == "":
        return None
    if isinstance(value, str) and (name := _INTENSITY_NAMES.get(_spelling(value))):
        return INTENSITIES[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise BadRequest(
            f"emotion_intensity: {_quoted(value)} is neither a number nor one of low, medium, high"
        )
    return float(min(max(value, 0), 1))


def _description(fields: Mapping[str, Any]) -> str | None:
    value = fields.get("emotion_description")
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequest(f"emotion_description: {_quoted(value)} is not text")
    return shorten(value.strip(), DESCRIPTION_LIMIT).rstrip() or None


def _spelling(word: str) -> str:
    return "_".join(word.lower().replace("-", " ").replace("_", " ").split())


def _quoted(value: Any) -> str:
    return repr(shorten(value, 40) if isinstance(value, str) else value)[:60]
