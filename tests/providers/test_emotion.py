"""What each provider makes of every emotion, intensity and style there is."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from twisted.trial.unittest import SynchronousTestCase

from waav.registry import Registry
from waav.secret import Secret
from waav.speech import wire
from waav.speech.emotion import EMOTIONS, INTENSITIES, STYLES
from waav.speech.provider import Account, Emotion, SpeakSettings

VOICES: tuple[tuple[str, dict[str, str]], ...] = (
    ("deepgram", {"voice": "aura-asteria-en"}),
    ("deepgram", {"voice": "aura-2-thalia-en"}),
    ("deepgram", {"voice": "flux-alexis-en"}),
    ("local", {}),
    ("openai", {"model": "gpt-4o-mini-tts"}),
    ("openai", {"model": "tts-1"}),
)
"""Every kind of voice of every provider that speaks."""

EXPRESSIVITY = {
    "neutral": (0, 0, 0), "happy": (0.5, 1, 1.5), "sad": (-0.5, -0.5, -0.5),
    "angry": (1, 1.5, 2), "fearful": (0.5, 1, 1.5), "surprised": (1, 1, 1),
    "disgusted": (0.5, 0.5, 0.5), "excited": (1, 1.5, 2), "calm": (-0.5, -0.5, -0.5),
    "anxious": (0.5, 0.5, 0.5), "confident": (0.5, 0.5, 0.5), "confused": (0, 0, 0),
    "empathetic": (0, 0, 0), "sarcastic": (0.5, 0.5, 0.5), "hopeful": (0.5, 0.5, 0.5),
    "disappointed": (-0.5, -0.5, -0.5), "curious": (0.5, 0.5, 0.5), "grateful": (0, 0, 0),
    "proud": (1, 1, 1), "embarrassed": (0, 0, 0), "content": (0, 0, 0), "bored": (-1, -1, -1),
}  # fmt: skip
"""Of Deepgram's Flux voices, at low, medium and high intensity."""

PHRASES = """neutral:|happy:happy, joyful|sad:sad, melancholic|angry:angry, frustrated
fearful:frightened, scared|surprised:surprised, astonished|disgusted:disgusted, repulsed
excited:excited, enthusiastic, energetic|calm:calm, peaceful, relaxed|anxious:anxious, nervous, worried
confident:confident, assured, authoritative|confused:confused, uncertain, puzzled
empathetic:empathetic, understanding, compassionate|sarcastic:sarcastic, ironic, dry
hopeful:hopeful, optimistic, encouraging|disappointed:disappointed, let down, dejected
curious:curious, interested, inquisitive|grateful:grateful, thankful, appreciative
proud:proud, accomplished, satisfied|embarrassed:embarrassed, sheepish, awkward
content:content, satisfied, at peace|bored:bored, uninterested, disengaged"""
STYLE_PHRASES = """normal:|whispered:whispered|shouted:shouted, loud|rushed:rushed, urgent, fast
measured:measured, deliberate, slow|monotone:monotone, flat|expressive:expressive, animated
professional:professional, business-like|casual:casual, conversational
storytelling:storytelling, narrative, engaging|soft:soft, gentle, tender|loud:loud, strong, emphatic
cheerful:cheerful, upbeat, bright|serious:serious, grave, solemn|formal:formal, proper, polished"""


def table(text: str) -> dict[str, str]:
    pairs = (one.partition(":") for one in text.replace("\n", "|").split("|"))
    return {name: words for name, _, words in pairs}


class EmotionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.registry = Registry.discover()

    def spoken(
        self, name: str, chosen: dict[str, str], emotion: Emotion | None
    ) -> tuple[Any, list[str]]:
        """What the vendor is asked, and what the operator reads in the log."""
        speak = self.registry.find(name).speak
        assert speak is not None
        settings: Any = {**chosen, "emotion": emotion}
        dialogue = speak(SpeakSettings(name, **settings), Account(key=Secret("test-key")))
        asked = dialogue.send(wire.Speak("Hello."))
        is_http = dialogue.opening.url.startswith("http")
        events = dialogue.receive(wire.Head(200, {}) if is_http else b"\0\0")
        return asked, [one.message for one in events if isinstance(one, wire.Warned)]

    def test_every_voice_is_looked_at(self) -> None:
        """A provider that speaks and has no row here would be asked for emotions that nobody ever tried."""
        speaking = {one.name for one in self.registry.providers if one.speak is not None}
        self.assertEqual({name for name, _ in VOICES}, speaking)

    def test_nothing_is_lost_in_silence(self) -> None:
        """Every emotion and style, at every intensity, changes what is asked of the vendor or is warned of by name (EMO-02)."""
        for name, chosen in VOICES:
            plain, _ = self.spoken(name, chosen, None)
            for intensity in (None, *INTENSITIES.values()):
                for word in EMOTIONS:
                    asked, said = self.spoken(name, chosen, Emotion(word, intensity))
                    is_told = asked != plain or any(f"emotion {word!r}" in one for one in said)
                    self.assertTrue(is_told or word == "neutral", (name, chosen, word))
                for word in STYLES:
                    asked, said = self.spoken(name, chosen, Emotion(None, intensity, word))
                    is_told = asked != plain or any(f"{word!r}" in one for one in said)
                    self.assertTrue(is_told or word == "normal", (name, chosen, word))
            asked, said = self.spoken(name, chosen, Emotion(description="like a pirate"))
            self.assertTrue(asked != plain or "emotion_description" in said[0], (name, chosen))

    def test_strength_of_flux(self) -> None:
        """Deepgram's Flux voices get the strength of each emotion at each intensity, and only that (EMO-02)."""
        self.assertEqual(tuple(EXPRESSIVITY), EMOTIONS)
        for word, strengths in EXPRESSIVITY.items():
            for intensities, strength in zip(
                ((0.0, 0.3, 0.44), (0.45, 0.6, 0.79, None), (0.8, 1.0)), strengths, strict=True
            ):
                for intensity in intensities:
                    [request], said = self.spoken(
                        "deepgram", {"voice": "flux-alexis-en"}, Emotion(word, intensity)
                    )
                    query = parse_qs(urlsplit(request.url).query)
                    [sent] = query["expressivity"]
                    self.assertEqual((float(sent), said), (strength, []), (word, intensity))

    def test_words_of_openai(self) -> None:
        """OpenAI is told in the words of each emotion, intensity and style (EMO-02)."""
        emotions, styles = table(PHRASES), table(STYLE_PHRASES)
        self.assertEqual((tuple(emotions), tuple(styles)), (EMOTIONS, STYLES))
        for word, phrase in emotions.items():
            for intensity, prefix in (
                (0.0, "slightly "), (0.3, "slightly "), (0.31, ""), (None, ""), (0.79, ""),
                (0.8, "very "), (1.0, "very "),
            ):  # fmt: skip
                told = f"{prefix}{phrase}" if phrase else ""
                self.assertEqual(self.instructions(Emotion(word, intensity)), told)
        for style, phrase in styles.items():
            self.assertEqual(self.instructions(Emotion(style=style)), phrase)
            self.assertEqual(
                self.instructions(Emotion("sad", None, style)),
                ", ".join(filter(None, ("sad, melancholic", phrase))),
            )

    def instructions(self, emotion: Emotion) -> str:
        """In what manner OpenAI is to speak."""
        [request], said = self.spoken("openai", {}, emotion)
        self.assertEqual(said, [])
        text = str(json.loads(request.body).get("instructions", ""))
        return text.removeprefix("Speak in a ").removesuffix(" manner.")
