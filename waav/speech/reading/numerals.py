"""Numbers in English words. Digits come as text, so that zeros in front and behind stay."""

from typing import Final

_ONES: Final = [
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
_TENS: Final = [
    "zero",
    "ten",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
]
_SCALES: Final = ["thousand", "million", "billion", "trillion", "quadrillion"]
_ORDINALS: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_ROMAN: Final = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}

_LONGEST_ROMAN: Final = 15
"""Letters of 3888. A thousand of M is no number that anybody writes."""

LONGEST: Final = 18
"""Digits that have names. What is longer is read digit by digit."""


def digits(text: str) -> str:
    """Each digit by its name: "007" is "zero zero seven"."""
    return " ".join(_ONES[int(digit)] for digit in text)


def cardinal(text: str, says_and: bool = False) -> str:
    """How many: "1250" is "one thousand two hundred fifty". Zeros in front are not said.

    Args:
        text: digits only.
        says_and: "two hundred and fifty", as the British do.
    """
    text = text.lstrip("0")
    if not text:
        return _ONES[0]
    if len(text) > LONGEST:
        return digits(text)
    groups = [int(text[max(0, end - 3) : end]) for end in range(len(text), 0, -3)]
    words = []
    for scale in range(len(groups) - 1, -1, -1):
        group = groups[scale]
        if not group:
            continue
        if says_and and scale == 0 and group < 100 and len(groups) > 1:
            words.append("and")
        words += _below_thousand(group, says_and)
        if scale:
            words.append(_SCALES[scale - 1])
    return " ".join(words)


def ordinal(text: str, says_and: bool = False) -> str:
    """Which one: "21" is "twenty first"."""
    *most, last = cardinal(text, says_and).split()
    if last in _ORDINALS:
        last = _ORDINALS[last]
    elif last.endswith("y"):
        last = last[:-1] + "ieth"
    else:
        last += "th"
    return " ".join([*most, last])


def decimal(text: str, says_and: bool = False) -> str:
    """ "3.50" is "three point five zero", ".5" is "point five"; a text without a point is a cardinal."""
    whole, point, part = text.partition(".")
    if not point:
        return cardinal(whole, says_and)
    return f"{cardinal(whole, says_and)} point {digits(part)}" if whole else f"point {digits(part)}"


def year(text: str, says_and: bool = False) -> str:
    """ "1905" is "nineteen oh five", "2005" is "two thousand five", "2010" is "twenty ten"."""
    if len(text) != 4 or text[0] == "0":
        return cardinal(text, says_and)
    century, rest = text[:2], text[2:]
    if text[1:3] == "00":
        return cardinal(text, says_and)
    if rest == "00":
        return f"{cardinal(century)} hundred"
    if rest[0] == "0":
        return f"{cardinal(century)} oh {digits(rest[1])}"
    return f"{cardinal(century)} {cardinal(rest)}"


def plural(words: str) -> str:
    """More than one of what the words name: "twenty" is "twenties"."""
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith(("s", "x", "ch", "sh")) else "s")


def roman(text: str) -> int:
    """The value of a roman numeral in capitals; 0 if it is none, or one that nobody writes, such as IIX."""
    total = 0
    if not text or len(text) > _LONGEST_ROMAN:
        return 0
    for letter, following in zip(text, [*text[1:], ""], strict=True):
        value = _ROMAN.get(letter, 0)
        if not value:
            return 0
        total += -value if following and _ROMAN.get(following, 0) > value else value
    return total if _written(total) == text else 0


def _written(number: int) -> str:
    """The roman numeral of 1 to 3999."""
    written = ""
    for value, letters in (
        (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"),
        (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
    ):  # fmt: skip
        while number >= value:
            written += letters
            number -= value
    return written


def _below_thousand(number: int, says_and: bool) -> list[str]:
    words = []
    if number >= 100:
        words += [_ONES[number // 100], "hundred"]
        number %= 100
        if number and says_and:
            words.append("and")
    if number >= 20:
        words.append(_TENS[number // 10])
        number %= 10
    if number:
        words.append(_ONES[number])
    return words
