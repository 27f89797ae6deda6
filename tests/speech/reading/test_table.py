"""The table of texts and how they are read, by the phonemes of the voice that reads them."""

import re
from collections import Counter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench import reading
from tests.models.test_hibari import loaded

PAGE = Path(__file__).parents[3] / "docs" / "reading.md"


class TableTests(SynchronousTestCase):
    """``bench/reading.tsv``."""

    def test_every_text(self) -> None:
        """Telephone numbers, codes, amounts, dates, addresses and the rest sound as when a person reads them."""
        wrong = [
            f"{row.text!r} is read {said!r}, not {row.said!r}"
            for row, said in reading.wrong(reading.rows(), loaded().phonemes)
        ]
        self.assertEqual(wrong, [])

    def test_every_kind(self) -> None:
        """The table has several texts of each kind, and none twice."""
        rows = reading.rows()
        self.assertEqual(len({row.text for row in rows}), len(rows))
        kinds = Counter(row.kind for row in rows)
        self.assertGreaterEqual(len(kinds), 28)
        self.assertGreaterEqual(min(kinds.values()), 5, kinds)

    def test_a_wrong_reading_is_found(self) -> None:
        """Other words, words left out, and another end of a sentence are told from the right ones."""
        sounds = loaded().phonemes
        for said in ("five six", "five", "five. seven", "five seven eight"):
            (found,) = reading.wrong([reading.Row("", "5 7", said)], sounds)
            self.assertEqual(found[1], "five seven")
        self.assertEqual(list(reading.wrong([reading.Row("", "5 7.", "five, seven")], sounds)), [])

    def test_numbers_that_survive(self) -> None:
        """What the ears write in digits and what they write in words count alike, in their order."""
        said = reading.digits("Code 0042, B12.")
        self.assertEqual("".join(said), "004212")
        for heard, kept in (
            ("code zero 0 42 twelve", 6),
            ("o oh four two, 1 2", 6),
            ("42", 2),
            ("4200", 2),
            ("", 0),
        ):
            self.assertEqual(reading.survived(said, reading.digits(heard)), kept, heard)
        amount = reading.numbers("It is $42.10.")
        self.assertEqual(amount, ["forty", "two", "ten"])
        for heard, kept in (("$42.10", 3), ("forty two dollars and ten cents", 3), ("$42", 2)):
            self.assertEqual(reading.survived(amount, reading.numbers(heard)), kept, heard)


class PageTests(SynchronousTestCase):
    """docs/reading.md."""

    def test_examples(self) -> None:
        """Every example in the manual is read as it says."""
        examples = re.findall(
            r"^\| [^|]+ \| `(.+?)` \| (.*?) \|$", PAGE.read_text("utf-8"), re.MULTILINE
        )
        self.assertGreater(len(examples), 50)
        for text, said in examples:
            self.assertEqual(reading.words(text.replace("\\|", "|")), said)
