"""How to say it."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from waav.errors import BadRequest
from waav.speech.emotion import (
    EMOTIONS,
    STYLES,
    ignored,
    instruction,
    parse_emotion,
    phrase,
)
from waav.speech.provider import Emotion


def emotion_fields(emotion: Emotion) -> dict[str, Any]:
    """The fields that ``parse_emotion`` makes ``emotion`` of; for JSON."""
    fields = {
        "emotion": emotion.emotion,
        "emotion_intensity": emotion.intensity,
        "delivery_style": emotion.style,
        "emotion_description": emotion.description,
    }
    return {name: value for name, value in fields.items() if value is not None}


class ParseTests(SynchronousTestCase):
    """The four fields of a ``tts_config``."""

    def test_vocabulary(self) -> None:
        """All 22 emotions and 15 styles are accepted in any case (F-213)."""
        self.assertEqual((len(EMOTIONS), len(STYLES)), (22, 15))
        for name in EMOTIONS:
            self.assertEqual(parse_emotion({"emotion": name.upper()}), Emotion(emotion=name))
        for name in STYLES:
            self.assertEqual(parse_emotion({"delivery_style": f" {name} "}), Emotion(style=name))

    def test_aliases(self) -> None:
        """The other words of the contract mean the canonical ones (S-EMO-01)."""
        for field, pairs in (
            (
                "emotion",
                "joyful happy|sorrowful sad|MAD angry|afraid fearful|astonished surprised|repulsed disgusted"
                "|energetic excited|serene calm|worried anxious|assertive confident|puzzled confused"
                "|understanding empathetic|dry sarcastic|optimistic hopeful|let-down disappointed"
                "|interested curious|appreciative grateful|accomplished proud|sheepish embarrassed"
                "|at_peace content|disengaged bored",
            ),
            (
                "delivery_style",
                "default normal|quiet whispered|shout shouted|urgent rushed|slow measured|flat monotone"
                "|dynamic expressive|business professional|informal casual|story storytelling|tender soft"
                "|strong loud|bright cheerful|solemn serious|polished formal",
            ),
        ):
            for pair in pairs.split("|"):
                alias, name = pair.split()
                emotion = parse_emotion({field: alias})
                assert emotion is not None
                self.assertEqual(emotion.emotion or emotion.style, name)
        self.assertEqual(parse_emotion({"emotion": "At Peace"}), Emotion(emotion="content"))

    def test_intensity(self) -> None:
        """A number is brought into 0 to 1; words have their values and synonyms (F-213)."""
        for sent, value in (
            (0.25, 0.25),
            (7, 1.0),
            (-1, 0.0),
            (10**400, 1.0),
            ("low", 0.3),
            ("Medium", 0.6),
            ("high", 1.0),
            ("subtle", 0.3),
            ("moderate", 0.6),
            ("max", 1.0),
        ):
            self.assertEqual(parse_emotion({"emotion_intensity": sent}), Emotion(intensity=value))

    def test_nothing(self) -> None:
        """A request that says nothing about emotion has none, however it says nothing."""
        for fields in (
            {},
            {"voice_id": "x"},
            dict.fromkeys(
                ("emotion", "emotion_intensity", "delivery_style", "emotion_description")
            ),
            {
                "emotion": "",
                "emotion_intensity": "",
                "delivery_style": "",
                "emotion_description": " ",
            },
        ):
            self.assertIsNone(parse_emotion(fields))

    def test_refusals(self) -> None:
        """What is not known is an error that names its field and the words accepted (S-EMO-02, S-EMO-03)."""
        for field, value in (
            ("emotion", "hangry"),
            ("emotion", 5),
            ("delivery_style", "happy"),
            ("delivery_style", ["soft"]),
            ("emotion_intensity", "very"),
            ("emotion_intensity", True),
            ("emotion_intensity", float("nan")),
            ("emotion_intensity", []),
            ("emotion_description", 5),
        ):
            error = self.assertRaises(BadRequest, parse_emotion, {field: value})
            self.assertTrue(error.message.startswith(f"{field}: "), error.message)
        error = self.assertRaises(BadRequest, parse_emotion, {"emotion": "é" * 5000})
        self.assertIn("neutral, happy", error.message)
        self.assertLess(len(error.message), 500)

    def test_description(self) -> None:
        """A long description is cut to 100 characters, not bytes, and not refused (X-14)."""
        emotion = parse_emotion({"emotion_description": "ü" * 150})
        self.assertEqual(emotion, Emotion(description="ü" * 100))

    def test_round_trip(self) -> None:
        """Every value survives the way through JSON and back (EMO-03)."""
        for emotion in (
            *(Emotion(emotion=name, intensity=0.45) for name in EMOTIONS),
            *(Emotion(style=name) for name in STYLES),
            Emotion("sad", 1.0, "soft", "wie ein müder Bär"),
        ):
            self.assertEqual(
                parse_emotion(json.loads(json.dumps(emotion_fields(emotion)))), emotion
            )


class PhraseTests(SynchronousTestCase):
    """Vendors that are told in words."""

    def test_every_word(self) -> None:
        """Every emotion and style changes the words, except plain ones."""
        for name in EMOTIONS:
            self.assertEqual(bool(phrase(Emotion(emotion=name))), name != "neutral", name)
        for name in STYLES:
            self.assertEqual(bool(phrase(Emotion(style=name))), name != "normal", name)
        phrases = {phrase(Emotion(emotion=e, style=s)) for e in EMOTIONS for s in STYLES}
        self.assertEqual(len(phrases), 22 * 15)

    def test_wording(self) -> None:
        """Strong and slight emotions are said to be so; a description replaces it all."""
        for emotion, words in (
            (Emotion("happy"), "happy, joyful"),
            (Emotion("happy", 0.8), "very happy, joyful"),
            (Emotion("happy", 0.3, "whispered"), "slightly happy, joyful, whispered"),
            (Emotion("neutral", 1.0, "formal"), "formal, proper, polished"),
            (Emotion("neutral", 1.0), ""),
            (Emotion("happy", 1.0, "soft", "like a pirate"), "like a pirate"),
        ):
            self.assertEqual(phrase(emotion), words)

    def test_instruction(self) -> None:
        """A vendor that takes prose gets a sentence; plain speech gets none."""
        self.assertEqual(instruction(Emotion("sad")), "Speak in a sad, melancholic manner.")
        self.assertEqual(instruction(Emotion(description="Like a pirate")), "Like a pirate")
        self.assertEqual(instruction(Emotion("neutral")), "")

    def test_ignored(self) -> None:
        """A vendor without any of it: one warning for each thing lost, naming the vendor; none for plain speech."""
        self.assertEqual(ignored(Emotion("neutral", 0.5, "normal"), "acme"), [])
        warnings = ignored(Emotion("sad", 1.0, "soft", "x"), "acme")
        self.assertEqual(len(warnings), 4)
        for warning in warnings:
            self.assertTrue(warning.startswith("acme ignores "))
