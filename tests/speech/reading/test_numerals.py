"""Numbers in words."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from waav.speech.reading.numerals import (
    cardinal,
    decimal,
    digits,
    ordinal,
    plural,
    roman,
    year,
)

UNITS = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
} | {
    word: 10 * value
    for value, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2
    )
}
SCALES = {
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "quadrillion": 10**15,
}


def value(words: str) -> int:
    """The number that words name."""
    total = group = 0
    for word in words.replace(" and ", " ").split(" "):
        if word == "hundred":
            group *= 100
        elif word in SCALES:
            total, group = total + group * SCALES[word], 0
        else:
            group += UNITS[word]
    return total + group


class NumberTests(SynchronousTestCase):
    """What numbers are called."""

    def test_cardinals(self) -> None:
        """Amounts are said as Americans say them; "and" comes in where the country says it."""
        for text, said, british in (
            ("0", "zero", "zero"),
            ("007", "seven", "seven"),
            ("13", "thirteen", "thirteen"),
            ("40", "forty", "forty"),
            ("101", "one hundred one", "one hundred and one"),
            ("1001", "one thousand one", "one thousand and one"),
            ("1100", "one thousand one hundred", "one thousand one hundred"),
            ("2000000", "two million", "two million"),
            ("1234567", "one million two hundred thirty four thousand five hundred sixty seven",
             "one million two hundred and thirty four thousand five hundred and sixty seven"),
        ):  # fmt: skip
            self.assertEqual((cardinal(text), cardinal(text, True)), (said, british))

    @given(st.integers(0, 10**18 - 1), st.booleans())
    def test_every_cardinal(self, number: int, says_and: bool) -> None:
        """The words name the number, whichever it is."""
        self.assertEqual(value(cardinal(str(number), says_and)), number)

    def test_more_digits_than_have_names(self) -> None:
        """A number of nineteen digits is read digit by digit, and so is one of a thousand."""
        self.assertEqual(cardinal("1" * 19), " ".join(["one"] * 19))
        self.assertEqual(cardinal("1" + "0" * 1000).count("zero"), 1000)

    def test_digits(self) -> None:
        """Every digit is said, zeros too."""
        self.assertEqual(digits("00709"), "zero zero seven zero nine")

    def test_ordinals(self) -> None:
        """The last word tells which."""
        for text, said in (
            ("1", "first"), ("2", "second"), ("3", "third"), ("5", "fifth"), ("8", "eighth"), ("9", "ninth"),
            ("12", "twelfth"), ("20", "twentieth"), ("21", "twenty first"), ("100", "one hundredth"), ("0", "zeroth"),
        ):  # fmt: skip
            self.assertEqual(ordinal(text), said)

    def test_decimals(self) -> None:
        """Behind the point every digit is said, also zeros at the end."""
        for text, said in (
            ("3.50", "three point five zero"),
            (".5", "point five"),
            ("10", "ten"),
            ("0.007", "zero point zero zero seven"),
        ):
            self.assertEqual(decimal(text), said)

    def test_years(self) -> None:
        """Years are read in pairs, but for the first of a millennium."""
        for text, said in (
            ("1999", "nineteen ninety nine"), ("1905", "nineteen oh five"), ("1900", "nineteen hundred"),
            ("2000", "two thousand"), ("2009", "two thousand nine"), ("2010", "twenty ten"), ("1066", "ten sixty six"),
            ("476", "four hundred seventy six"), ("0099", "ninety nine"),
        ):  # fmt: skip
            self.assertEqual(year(text), said)

    def test_plurals(self) -> None:
        """Decades are more than one."""
        for word, said in (
            ("ninety", "nineties"),
            ("nineteen hundred", "nineteen hundreds"),
            ("six", "sixes"),
        ):
            self.assertEqual(plural(word), said)

    def test_roman_numerals(self) -> None:
        """Only what somebody would write is one: every number to 3999 has one spelling."""
        for text, number in (
            ("IV", 4),
            ("XIV", 14),
            ("MCMXCIX", 1999),
            ("MMMCMXCIX", 3999),
            ("LVIII", 58),
        ):
            self.assertEqual(roman(text), number)
        for text in ("", "IIII", "IIX", "VX", "ABC", "M" * 5000, "iv"):
            self.assertEqual(roman(text), 0)
