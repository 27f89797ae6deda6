"""What is for the eye only."""

from twisted.trial.unittest import SynchronousTestCase

from waav.speech.reading.aloud import Pause, aloud


class PauseTests(SynchronousTestCase):
    """Tags that are silence."""

    def check(self, text: str, *expected: str | float) -> None:
        found = [part.lasts_s if isinstance(part, Pause) else part for part in aloud(text)]
        self.assertEqual(found, list(expected))

    def test_times(self) -> None:
        """A break is as long as it says, in seconds or milliseconds."""
        for attribute, lasts_s in (
            ("time='500ms'", 0.5), ('time="1.5s"', 1.5), ("time=2s", 2.0), ("time='.25s'", 0.25),
            ('strength="strong"', 0.7), ("strength='x-weak'", 0.1), ("", 0.4), ("strength='odd'", 0.4),
        ):  # fmt: skip
            self.check(f"Wait <break {attribute}/> here.", "Wait", lasts_s, "here.")
        self.check("Wait<break/>here", "Wait", 0.4, "here")

    def test_never_too_long(self) -> None:
        """A break of a minute sounds like a call that is gone: five seconds are the most."""
        for asked in ("60s", "999999s", "6000ms"):
            self.check(f"<break time='{asked}'/>Hi", 5.0, "Hi")

    def test_none(self) -> None:
        """A break of no time is none."""
        for attribute in ("time='0s'", "strength='none'"):
            self.check(f"Wait <break {attribute}/> here.", "Wait here.")

    def test_the_characters_of_pauses(self) -> None:
        """What marks pauses inside does nothing when a text has it."""
        self.check("a\ue0005\ue001b \ue000 c", "a five b c")


class TagTests(SynchronousTestCase):
    """Other tags."""

    def said(self, text: str) -> str:
        return " ".join(part for part in aloud(text) if isinstance(part, str))

    def test_not_said(self) -> None:
        """No name and no attribute of a tag is heard, whatever its language; a comment is not either."""
        for text in (
            "<speak>Hello there</speak>",
            "<prosody rate='slow' pitch=\"+5%\">Hello</prosody> there",
            "Hello <!-- not <b>this</b> --> there",
            "Hel<b>lo</b> <i class=big>there</i>",
            "<mstts:express-as style='calm'>Hello there</mstts:express-as>",
        ):
            self.assertEqual(self.said(text).rstrip("."), "Hello there")

    def test_paragraphs(self) -> None:
        """Where the page has another line, another sentence begins."""
        for text in ("<p>One.</p><p>Two.</p>", "One<br>Two.", "<li>One</li><li>Two.</li>"):
            self.assertEqual(self.said(text), "One. Two.")

    def test_substitutes(self) -> None:
        """What stands for something is said, what it stands for is not."""
        self.assertEqual(self.said('Ask <sub alias="the team">W3C</sub> now'), "Ask the team now")

    def test_no_tags(self) -> None:
        """Comparisons and addresses in pointed brackets are no tags."""
        for text, said in (
            ("a < b", "a less than b"),
            ("if 3<5 then", "if three less than five then"),
            ("<ann@x.org>", "ann at X dot org"),
            ("I <3 you", "I you"),
        ):
            self.assertEqual(self.said(text), said)

    def test_entities(self) -> None:
        """Characters that are written as names are what they stand for."""
        self.assertEqual(
            self.said("Salt &amp; pepper &lt; 3 &#65;&nbsp;1"),
            "Salt and pepper less than three A one",
        )


class MarkdownTests(SynchronousTestCase):
    """Marks of emphasis, lists, headings, links."""

    def said(self, text: str) -> str:
        return " ".join(part for part in aloud(text) if isinstance(part, str))

    def test_marks_are_not_said(self) -> None:
        """Emphasis, code and strokes are heard as the words alone."""
        for text in (
            "**Call** now", "*Call* now", "__Call__ now", "_Call now_", "***Call*** `now`", "~~Call~~ now", "Ca**ll** now",
            "> Call now", "# Call now", "### Call now ###", "- Call now", "* Call now", "+ Call now", "- [ ] Call now",
            "```\nCall now\n```", "[Call](https://x.org) now", "[Call now][1]", "Call now[^2]", "Call now\\!",
        ):  # fmt: skip
            self.assertEqual(self.said(text).rstrip(".!"), "Call now", text)

    def test_keys_are_said(self) -> None:
        """Stars and hashes that are keys of a telephone are no marks."""
        for text, said in (
            ("* and # are keys", "star and pound are keys"),
            ("Press * then *9 or **9**", "Press star then star nine or nine"),
            ("# key", "pound key"),
            ("* #", "star pound"),
            ("*5*", "star five star"),
            ("Dial *123*4#", "Dial star one two three star four pound"),
        ):
            self.assertEqual(self.said(text), said)

    def test_lists(self) -> None:
        """Every item of a list and every heading is a sentence; numbers of items are said."""
        for text, said in (
            ("- milk\n- eggs\n", "milk. eggs."),
            ("1. Open it\n2) Close it", "one, Open it. two, Close it."),
            ("# Hours\nWe open at nine.", "Hours. We open at nine."),
            ("Hours\n=====\nNine.", "Hours. Nine."),
            ("• milk • eggs", "milk. eggs."),
            ("---\nHi\n***\n", "Hi."),
        ):
            self.assertEqual(self.said(text), said)

    def test_lines(self) -> None:
        """A line that goes on in the next is one sentence; an empty line ends it."""
        self.assertEqual(
            self.said("We are\nopen now\n\nand tomorrow"), "We are open now. and tomorrow"
        )

    def test_tables(self) -> None:
        """Rows of a table are sentences, its lines are nothing."""
        self.assertEqual(self.said("| a | b |\n|:--|--:|\n| 1 | 2 |"), "a, b. one, two.")


class CharacterTests(SynchronousTestCase):
    """Characters that are not said, or not as they are."""

    def said(self, text: str) -> str:
        return " ".join(part for part in aloud(text) if isinstance(part, str))

    def test_emoji(self) -> None:
        """Pictures, families, flags, skin tones and faces made of signs are nothing."""
        for text in ("Hi \U0001f600!", "Hi \U0001f468\u200d\U0001f469\u200d\U0001f467!", "Hi \U0001f1e9\U0001f1ea!",
                     "Hi \U0001f44b\U0001f3fd!", "Hi \u2764\ufe0f!", "Hi :)!", "Hi ;-) !"):  # fmt: skip
            self.assertEqual(self.said(text), "Hi!", text)

    def test_emoji_alone(self) -> None:
        """Of a text of pictures and marks alone nothing is said."""
        for text in (
            "\U0001f389",
            "*** --- ___",
            "\u200b",
            "```\n```",
            "| |",
            "() [] {}",
            "\ufffd",
        ):
            self.assertEqual(list(aloud(text)), [], text)

    def test_keys_and_other_digits(self) -> None:
        """Boxed, wide, circled, bold and Arabic digits are digits."""
        for text in ("1\ufe0f\u20e3", "\uff11", "\u2460", "\U0001d7cf", "\u0661"):
            self.assertEqual(self.said(f"Press {text} now"), "Press one now", text)

    def test_letters(self) -> None:
        """Bold and wide letters are letters; invisible characters inside words are not there."""
        self.assertEqual(self.said("\U0001d407\U0001d41e\U0001d425\U0001d425\U0001d428"), "Hello")
        self.assertEqual(self.said("Hel\u00adlo\u200b"), "Hello")
        self.assertEqual(self.said("it\u2019s caf\u00e9"), "it's caf\u00e9")
