"""Texts as they are read."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from waav.speech.reading.aloud import Pause, aloud


def said(text: str, language: str = "en-US") -> str:
    return " ".join(part for part in aloud(text, language) if isinstance(part, str))


class SentenceTests(SynchronousTestCase):
    """Where a text is divided."""

    def test_sentences(self) -> None:
        """Every sentence is given out by itself, and a full stop inside one ends nothing."""
        for text, sentences in (
            ("Hi. You.", ["Hi.", "You."]),
            ("Dr. Lee is in. No. 5 is not.", ["Doctor Lee is in.", "number five is not."]),
            ("At 5 p.m. The end.", ["At five P.M.", "The end."]),
            ("At 5 p.m. Eastern time.", ["At five P.M Eastern time."]),
            ("The U.S. Army. It is big.", ["The U.S Army.", "It is big."]),
            ("In the U.S. The Army.", ["In the U.S.", "The Army."]),
            ("Pens, etc. We have all.", ["Pens, et cetera.", "We have all."]),
            ("J. K. Rowling wrote. I read.", ["J K Rowling wrote.", "I read."]),
            ("Is it?! Yes... No!!!", ["Is it?", "Yes…", "No!"]),
            ("See x.org. Bye.", ["See X dot org.", "Bye."]),
            (
                "Pens, etc., and ink. 5 Main St., Ohio.",
                ["Pens, et cetera, and ink.", "five Main Street, Ohio."],
            ),
            ("It is 3.5. Bye.", ["It is three point five.", "Bye."]),
            ("He said no. Then yes.", ["He said no.", "Then yes."]),
        ):
            self.assertEqual(list(aloud(text)), sentences)

    def test_one_at_a_time(self) -> None:
        """The first sentence is there before the others are looked at."""
        sentences = aloud("Hi. " * 20000)
        began = time.thread_time()
        self.assertEqual(next(sentences), "Hi.")
        first_s = time.thread_time() - began
        self.assertEqual(sum(1 for _ in sentences), 19999)
        self.assertLess(first_s, 0.5 * (time.thread_time() - began))

    def test_a_sentence_without_end(self) -> None:
        """What has no end is given out in parts, cut between words."""
        parts = [part for part in aloud("7 " * 995) if isinstance(part, str)]
        self.assertGreater(len(parts), 20)
        self.assertLess(max(map(len, parts)), 300)
        self.assertEqual(" ".join(parts), " ".join(["seven"] * 995))

    def test_signs(self) -> None:
        """Brackets are pauses, quotation marks nothing, and of several signs one is left."""
        for text, words in (
            ("He (the boss) left.", "He, the boss, left."),
            ('He said "go" [twice].', "He said go, twice."),
            ("Yes - no \u2013 well \u2014 maybe -- so", "Yes — no — well — maybe — so"),
            ("One,, two ; ; three", "One, two; three"),
            ("\u201cHi.\u201d \u2018You\u2019 don\u2019t", "Hi. You don't"),
        ):
            self.assertEqual(said(text), words)


class CountryTests(SynchronousTestCase):
    """English of several countries."""

    def test_british(self) -> None:
        """Dates begin with the day, numbers have "and", # is a hash."""
        for text, american, british in (
            (
                "On 3/4/2025",
                "On March fourth, twenty twenty five",
                "On the third of April, twenty twenty five",
            ),
            ("205 of us", "two hundred five of us", "two hundred and five of us"),
            ("Press #", "Press pound", "Press hash"),
            ("\u00a3205", "two hundred five pounds", "two hundred and five pounds"),
        ):
            for language in ("en-US", "en", "auto", "", "EN-ca"):
                self.assertEqual(said(text, language), american)
            for language in ("en-GB", "en_gb", "en-Latn-AU", "en-IN"):
                self.assertEqual(said(text, language), british)

    def test_other_languages(self) -> None:
        """There are no rules for other languages, and none are made up."""
        for language in ("de", "fr-CA", "e"):
            self.assertRaises(ValueError, list, aloud("3", language))


class ContextTests(SynchronousTestCase):
    """What is read differently where it stands."""

    def test_pairs(self) -> None:
        """The same figures and letters are different things at different places."""
        for text, words in (
            ("Code 1234", "Code one two three four"),
            ("In 1234", "In twelve thirty four"),
            ("Only 1234", "Only one thousand two hundred thirty four"),
            ("Room 1234", "Room twelve thirty four"),
            ("Codes 1111 and 2222 but 3333 people", "Codes one one one one and two two two two but three thousand three hundred thirty three people"),
            ("My code expires in 10 minutes", "My code expires in ten minutes"),
            ("Set the PIN in 10 minutes", "Set the pin in ten minutes"),
            ("1987 people in 1987", "one thousand nine hundred eighty seven people in nineteen eighty seven"),
            ("on 3/4", "on March fourth"),
            ("about 3/4", "about three quarters"),
            ("911 people called 911", "nine hundred eleven people called nine one one"),
            ("St. Paul St.", "Saint Paul Street."),
            ("Dr. Oak, 5 Oak Dr.", "Doctor Oak, five Oak Drive."),
            ("IT says it is IT", "I.T says it is I.T"),
            ("CALL US NOW", "CALL US NOW"),
            ("Vitamin A is a vitamin. A b.", "Vitamin eh is a vitamin. A b."),
            ("Chapter I. I agree. King George I.", "Chapter one. I agree. King George the first."),
            ("a $5 fee of $5", "a five dollar fee of five dollars"),
            ("5 m and $5m", "five meters and five million dollars"),
            ("5-10 and -5", "five to ten and minus five"),
            ("x-5 and 5-x", "X five and five x"),
            ("12,345 and 1,2,3", "twelve thousand three hundred forty five and one, two, three"),
        ):  # fmt: skip
            self.assertEqual(said(text), words)


SAID = set(" .,;:!?…—'-")
PIECES = st.sampled_from(
    [
        "$",
        "€",
        "1",
        "23",
        "4.5",
        "1,000",
        "%",
        "°",
        "C",
        "km",
        "/",
        ":",
        "-",
        "–",
        ".",
        ",",
        "*",
        "#",
        "(",
        ")",
        "&",
        "@",
        "www.",
        ".com",
        "http://",
        "a",
        "A",
        "Dr.",
        "St.",
        "p.m.",
        "Jan",
        "Mon",
        "No.",
        "I",
        "XIV",
        "code",
        "call",
        "FBI",
        "U.S.",
        "é",
        "½",
        "²",
        "😀",
        "\n",
        "\t",
        "<",
        ">",
        "=",
        "[",
        "]",
        "_",
        "`",
        "~",
        "|",
        "\\",
        '"',
        "'",
        "+",
        "x",
        "v2",
        "<b>",
        "<break/>",
        "&amp;",
        "0",
        "00",
        "911",
        "am",
        "e.g.",
        "→",
        "≥",
    ]
)


class AnyTextTests(SynchronousTestCase):
    """Whatever comes."""

    def check(self, text: str) -> None:
        parts = list(aloud(text))
        words = "".join(part for part in parts if isinstance(part, str))
        self.assertEqual({sign for sign in words if not sign.isalpha()} - SAID, set(), words)
        self.assertLessEqual(len(words), 26 * len(text) + 16)
        self.assertTrue(all(part.lasts_s <= 5 for part in parts if isinstance(part, Pause)))

    @settings(max_examples=300)
    @given(st.lists(st.tuples(PIECES, st.sampled_from(["", " ", ", "])), max_size=20))
    def test_pieces(self, pieces: list[tuple[str, str]]) -> None:
        """However figures and signs are put together, words come out, and not many more than went in."""
        self.check("".join(piece + behind for piece, behind in pieces))

    @given(st.text(max_size=60))
    def test_characters(self, text: str) -> None:
        """The same of any characters of any script."""
        self.check(text)

    def test_hostile_text(self) -> None:
        """Four times the text takes four times as long, whatever it is made of: none is looked at again and again."""
        for piece in (
            "7 ", "1", "1,", "1,111", "1-", "1/", "1:", "1.", "+1", "$", "$1-", "%1", "1 1/", "1h", "1x", "1a", "a1", "1'",
            "a.", "A.", "A-", "A&", "A/", "a-", "I ", "IV", "St. ", "Mr. ", "/a", "a@", "www.", "http://", "\\", "&a",
            "*", "*a ", "**a", "_a", "~~a", "[", "[a](", "<", "<a ", "<a b=", "<!--", "<sub alias='a'>", "|a", "\n- a",
            "code 1 ", "call 1 ", ", ", ",.", ". ", "(", "\"", "'", " ", "\n", "é", "\U0001f600", "½", "\ue000", "<break/>",
        ):  # fmt: skip
            short_s, long_s = (
                self.takes(piece * (length // len(piece))) for length in (1500, 6000)
            )
            self.assertLess(long_s, max(8 * short_s, 0.05), piece)
        for start in ("*", "**", "_", "[", "<a ", "<!--", "~~", "`", '"'):
            short_s, long_s = (self.takes(start + "a" * length) for length in (1500, 6000))
            self.assertLess(long_s, max(8 * short_s, 0.05), start)

    def takes(self, text: str) -> float:
        """Seconds of this thread's own work: what else the machine does is not counted."""
        times = []
        for _ in range(2):
            began = time.thread_time()
            for _ in aloud(text):
                pass
            times.append(time.thread_time() - began)
        return min(times)
