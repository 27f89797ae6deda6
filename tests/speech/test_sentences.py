"""Text on its way to a voice."""

import time
import unicodedata
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from waav.speech.sentences import Pronunciation, is_speakable, settled, shorten, split
from waav.speech.sentences import pronounce as pronounce_by


def pronounce(text: str, pairs: list[tuple[str, str]]) -> str:
    """By rules that do not mind capitals."""
    return pronounce_by(text, [Pronunciation(*pair) for pair in pairs])


class PronounceTests(SynchronousTestCase):
    """Words replaced by how they sound."""

    def test_whole_words(self) -> None:
        """Only the word itself is replaced, not a part of another (F-178, D-08)."""
        for text, spoken in (
            ("SQL and NoSQL, SQL.", "sequel and NoSQL, sequel."),
            ("SQLite SQL_x SQL2", "SQLite SQL_x SQL2"),
            ('(SQL) "SQL" SQL\'s', '(sequel) "sequel" sequel\'s'),
            ("SQL", "sequel"),
            ("", ""),
        ):
            self.assertEqual(pronounce(text, [("SQL", "sequel")]), spoken)

    def test_capitals(self) -> None:
        """A word is replaced however it is capitalised, at the beginning of a sentence too."""
        for text, spoken in (
            ("Sql, SQL and sql", "sequel, sequel and sequel"),
            ("NGINX and Nginx", "engine x and engine x"),
            ("ÉCOLE École", "school school"),
            ("New york, NEW YORK", "the city, the city"),
        ):
            pairs = [("SQL", "sequel"), ("nginx", "engine x"), ("école", "school")]
            self.assertEqual(pronounce(text, [*pairs, ("New York", "the city")]), spoken)

    def test_very_capitals(self) -> None:
        """A rule that is exact leaves other capitals alone; of two rules the one with the very capitals counts."""
        rules = [Pronunciation("US", "U S", True), Pronunciation("IT", "I T", True)]
        self.assertEqual(pronounce_by("US and us, IT is it", rules), "U S and us, I T is it")
        self.assertEqual(
            pronounce_by("Polish polish", [Pronunciation("Polish", "Poh lish", True)]),
            "Poh lish polish",
        )
        pairs = [("polish", "shine"), ("Polish", "Poh lish")]
        self.assertEqual(pronounce("Polish polish POLISH", pairs), "Poh lish shine shine")

    def test_letters_that_change_their_length(self) -> None:
        """Letters that are two in the other case neither match nor break anything."""
        self.assertEqual(
            pronounce("İx i̇x straße STRASSE", [("ix", "X"), ("strasse", "Y")]), "İx i̇x straße Y"
        )

    def test_symbols(self) -> None:
        """Words that begin or end with a symbol are found too (S-TTS-37)."""
        pairs = [("C++", "see plus plus"), (".net", "dot net"), ("C", "see")]
        self.assertEqual(
            pronounce("C++, C and .NET; OCaml", pairs), "see plus plus, see and dot net; OCaml"
        )
        self.assertEqual(pronounce("xC++", pairs), "xC++")

    def test_other_scripts(self) -> None:
        """Accents and vowel signs belong to the word before them."""
        self.assertEqual(pronounce("कमी कम", [("कम", "X")]), "कमी X")
        self.assertEqual(pronounce("cafe\u0301 cafe", [("cafe", "X")]), "cafe\u0301 X")
        self.assertEqual(pronounce("größe Größer", [("größe", "X")]), "X Größer")

    def test_once(self) -> None:
        """What was put in is not replaced again, nor expanded twice (SPK-01, D-08, S-TTS-36)."""
        self.assertEqual(pronounce("a b", [("a", "b"), ("b", "a")]), "b a")
        self.assertEqual(pronounce("AI", [("AI", "AI, I mean A I")]), "AI, I mean A I")

    def test_longest_first(self) -> None:
        """The longer entry wins whatever the order of the list; the shorter one serves where it cannot (S-TTS-36)."""
        pairs = [("New", "N"), ("New York", "NY"), ("New York City", "NYC")]
        self.assertEqual(
            pronounce("New York City, New York, New Yorker", pairs), "NYC, NY, N Yorker"
        )

    def test_literal(self) -> None:
        """A pronunciation means itself: ``$1`` and ``\\\\1`` are not references (D-08, S-TTS-36)."""
        self.assertEqual(pronounce("x", [("x", r"$1 \1 \g<0> $&")]), r"$1 \1 \g<0> $&")
        self.assertEqual(pronounce("a.c abc", [("a.c", "X")]), "X abc")

    def test_first_entry_counts(self) -> None:
        """Of two entries for a word the first counts; an entry without a word does nothing."""
        self.assertEqual(pronounce("a", [("", "x"), ("a", "1"), ("a", "2")]), "1")
        self.assertEqual(pronounce("a", []), "a")

    def test_markup(self) -> None:
        """Tags and their attributes stay as they are, the text between them does not (S-TTS-39)."""
        pairs = [("voice", "VOICE"), ("a", "A"), ("b", "B")]
        for text, spoken in (
            ("<voice name='a'>a voice</voice>", "<voice name='a'>A VOICE</voice>"),
            ('<break time="a"/> a', '<break time="a"/> A'),
            ("<!-- a voice --> a", "<!-- a voice --> A"),
            (r"\{a: b\} a", r"\{a: b\} A"),
            ("a < b and b > a", "A < B and B > A"),
            ("if a<b then", "if A<B then"),
        ):
            self.assertEqual(pronounce(text, pairs), spoken)

    def test_hostile_text(self) -> None:
        """100 KiB of half-finished markup is dealt with in less than a second of processor time."""
        for piece in ("<!--", "<a b='", '<a b="', "\\{", "<a ", "<a b=", "<" + "a" * 50, "a b "):
            text = piece * (100_000 // len(piece))
            began = time.thread_time()
            pronounce(text, [("word", "sound"), ("a b c", "sound")])
            self.assertLess(time.thread_time() - began, 1.0, piece)

    @given(
        st.text(alphabet="[]^-&|~\\<#", min_size=1, max_size=3), st.text(alphabet="a ", max_size=5)
    )
    def test_any_symbols(self, word: str, text: str) -> None:
        """A word of nothing but symbols is replaced like any other."""
        self.assertEqual(pronounce(f"{text} {word}", [(word, "x")]), f"{text} x")

    @given(st.text(alphabet="ab .<>/", max_size=40))
    def test_nothing_lost(self, text: str) -> None:
        """Replacing words by themselves changes nothing, whatever the text."""
        self.assertEqual(pronounce(text, [("a", "a"), ("ab", "ab"), ("b a", "b a")]), text)


class SplitTests(SynchronousTestCase):
    """Long text in pieces a vendor accepts."""

    def test_short(self) -> None:
        """Text within the limit stays in one piece; blank text gives none."""
        self.assertEqual(split("  Hello there. ", 20), ["Hello there."])
        self.assertEqual(split(" \n ", 20), [])

    def test_sentences(self) -> None:
        """Speech breaks after sentences, closing quotes included (S-TTS-40)."""
        self.assertEqual(
            split('He said "Go." Then he went. And that was it!', 28),
            ['He said "Go." Then he went.', "And that was it!"],
        )
        self.assertEqual(split("One. Two. Three.", 9), ["One. Two.", "Three."])
        self.assertEqual(split("你好。今天天气很好！谢谢", 7), ["你好。", "今天天气很好！", "谢谢"])
        self.assertEqual(split("Title\n\nBody text here", 14), ["Title", "Body text here"])

    def test_no_sentence_end(self) -> None:
        """Full stops in numbers and titles are not sentence ends."""
        self.assertEqual(
            split("Ask Dr. Smith, then pay 3.50 now", 20), ["Ask Dr. Smith,", "then pay 3.50 now"]
        )

    def test_clauses_words_and_anything(self) -> None:
        """Without sentences it breaks after clauses, then at spaces, then anywhere."""
        self.assertEqual(split("first part, second part", 15), ["first part,", "second part"])
        self.assertEqual(split("alpha beta gamma", 11), ["alpha beta", "gamma"])
        self.assertEqual(split("abcdefgh", 3), ["abc", "def", "gh"])

    def test_bytes(self) -> None:
        """Where a vendor counts bytes, bytes are counted, and no character is cut in two (X-14)."""
        self.assertEqual(split("ééééé", 5, in_bytes=True), ["éé", "éé", "é"])
        self.assertEqual(split("日本", 2, in_bytes=True), ["日", "本"])

    def test_characters_as_seen(self) -> None:
        """Accents, families, flags, skin tones and Korean syllables stay whole (X-14)."""
        for whole in (
            "e\u0301\u0323",
            "👨‍👩‍👧",
            "🇩🇪",
            "👍🏽",
            "\u1112\u1161\u11ab",
            "\ud83d\ude00",
        ):
            for limit in range(len(whole) + 1, len(whole) * 2):
                self.assertEqual(split(whole * 3, limit), [whole] * 3, limit)
        self.assertEqual(split("👨‍👩‍👧👨‍👩‍👧", 2), ["👨‍👩‍👧", "👨‍👩‍👧"])

    def test_hostile_text(self) -> None:
        """100 KiB of stops, spaces, accents or flags are dealt with in less than a second of processor time."""
        for piece in ("!", " \n", "\u0301", "🇩", ",)", "a"):
            text = "a" + piece * 100_000 + "b"
            began = time.thread_time()
            split(text, 2000)
            self.assertLess(time.thread_time() - began, 1.0, piece)

    def test_no_room(self) -> None:
        """A limit of nothing is a mistake of the caller's."""
        self.assertRaises(ValueError, split, "a", 0)

    @given(
        st.text(alphabet=st.sampled_from("ab .,!?\n日。é\u0301👍🏽🇩\u200d"), max_size=80),
        st.integers(1, 30),
        st.booleans(),
    )
    @settings(deadline=None, max_examples=300)
    def test_any_text(self, text: str, limit: int, in_bytes: bool) -> None:
        """Nothing but white space at the cuts is lost, no piece is blank or over the limit without need."""
        pieces = split(text, limit, in_bytes)
        self.assertEqual("".join("".join(pieces).split()), "".join(text.split()))
        for piece in pieces:
            self.assertTrue(piece.strip())
            size = len(piece.encode()) if in_bytes else len(piece)
            if size > limit and "\u200d" not in piece:
                # Only ever one character as people see it.
                self.assertFalse(any(c in "ab .,!?\n日。" for c in piece[1:]), piece)
        place = 0
        for piece in pieces:
            place = text.index(piece, place)
            if place and not text[place - 1].isspace():
                self.assertNotEqual(unicodedata.category(piece[0]), "Mn", pieces)
            place += len(piece)


class ShortenTests(SynchronousTestCase):
    """Text cut for a message or a vendor."""

    def test_cut(self) -> None:
        """Cut by characters, never inside one (X-14, S-EMO-04)."""
        self.assertEqual(shorten("é" * 10, 4), "éééé")
        self.assertEqual(shorten("abc", 4), "abc")
        self.assertEqual(shorten("abe\u0301d", 3), "ab")
        self.assertEqual(shorten("ab👍🏽", 3), "ab")


class SettledTests(SynchronousTestCase):
    """Text that is still coming."""

    def test_what_follows_shows_it(self) -> None:
        """A mark ends a sentence once something else has begun behind it."""
        for text, end in (
            ("", 0),
            ("Hello", 0),
            ("Hello.", 0),
            ("Hello. ", 0),
            ("Hello. H", 7),
            ("Hello! How? W", 12),
            ('He said "no." Then', 14),
            ("It is 5. Then", 9),
            ("One... Two", 7),
            ("これは。次", 4),
            ("Done.\n\nNext", 7),
        ):
            self.assertEqual(settled(text), end, text)

    def test_full_stops_that_end_nothing(self) -> None:
        """Abbreviations, initials, numbers and names on the net go on behind their full stops."""
        for text in (
            "Dr. Smith",
            "Mr. and Mrs. Jones",
            "e.g. so",
            "i.e. That",
            "U.S. Army",
            "J. R. R. Tolkien",
            "at 3.14 it",
            "No. 5 is",
            "p. 12 says",
            "www.example.com is",
            "well... he",
        ):
            self.assertEqual(settled(text), 0, text)

    def test_long_text_is_looked_at_once(self) -> None:
        """Text that comes character by character and never ends is not looked through again for each."""
        text = "word " * 20_000
        looked: list[int] = []

        class Looked(str):
            def __getitem__(self, key: Any) -> Any:
                looked.append(1)
                return super().__getitem__(key)

        self.assertEqual(settled(Looked(text), len(text) - 1), 0)
        self.assertLess(len(looked), 5)

    @given(st.text('aB. !?3"', max_size=40), st.integers(0, 40))
    def test_looking_in_steps(self, text: str, first: int) -> None:
        """What was found to have no end is not needed any more: looking in steps finds the same."""
        before = text[:first]
        if not settled(before):
            self.assertEqual(settled(text, len(before)), settled(text))

    def test_what_can_be_said(self) -> None:
        """Letters, digits and signs that people read out can be said; emoji and marks cannot."""
        for text in ("a", "7", "é", "中", "$", "100%", "<b>x</b>", "½", "x²"):
            self.assertTrue(is_speakable(text), text)
        for text in ("", " ", "😀", "***", "---", "…", "?!", "👩‍👩‍👧", "#"):
            self.assertFalse(is_speakable(text), text)
