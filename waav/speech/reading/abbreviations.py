"""Abbreviations by what stands around them, initials, states of the USA, house numbers."""

import re
from typing import Final

from waav.speech.reading import numerals
from waav.speech.reading.digits import in_pairs, spell
from waav.speech.reading.passage import DIGIT, LETTER, Passage, Rule
from waav.speech.reading.vocabulary import (
    ABBREVIATIONS,
    BARE,
    BEFORE_NUMBERS,
    BEHIND_NUMBERS,
    INITIALS,
    LETTER_NAMED,
    NO_STREETS,
    PERIODS_WITHOUT_NAME,
    STATES,
    STREETS,
    TITLES,
)

_NAME_FOLLOWS: Final = re.compile(r"\s+[\"'(]?[A-ZÀ-Þ]")
_NUMBER_FOLLOWS: Final = re.compile(r"\s*\d")
_DIRECTIONS: Final = {"N": "North", "S": "South", "E": "East", "W": "West"}
_LETTERS_FOLLOW: Final = re.compile(r"(?:,| or| and) [B-Z]\b")


def _abbreviation(found: re.Match[str], passage: Passage) -> str | None:
    """A word with a full stop, if it is an abbreviation here."""
    word, end = found[1], found.end()
    is_before_name = _NAME_FOLLOWS.match(passage.text, end) is not None
    if word in STREETS and _is_behind_name(passage) and not _is_saint(word, passage, end):
        return passage.closed(STREETS[word], found)
    if word in TITLES and (is_before_name or word not in PERIODS_WITHOUT_NAME):
        return TITLES[word]
    if word in BEHIND_NUMBERS:
        is_meant = passage.written()[-1:].isdecimal()
        return passage.closed(BEHIND_NUMBERS[word], found) if is_meant else None
    if word in BEFORE_NUMBERS:
        is_meant = _NUMBER_FOLLOWS.match(passage.text, end) is not None
        return BEFORE_NUMBERS[word] if is_meant else None
    if word == "al":
        return passage.closed("al", found) if passage.written() == "et" else None
    if word == "Co":
        is_meant = passage.written()[:1].isupper() or passage.written() == "and"
        return passage.closed("Company", found) if is_meant else None
    if word in ABBREVIATIONS:
        return passage.closed(ABBREVIATIONS[word], found)
    return None


def _is_behind_name(passage: Passage) -> bool:
    """Whether a name, or the number of a street, stands directly before."""
    before = passage.written()
    if not before or before in NO_STREETS:
        return False
    return before[0].isupper() or re.fullmatch(r"\d+(?:st|nd|rd|th)", before) is not None


def _is_in_address(passage: Passage) -> bool:
    return any(word[0].isdecimal() for word in passage.heard)


def _is_saint(word: str, passage: Passage, end: int) -> bool:
    """In "St. Louis St." the first is a saint: a name follows, and no house number stands before it."""
    return (
        word == "St"
        and _NAME_FOLLOWS.match(passage.text, end) is not None
        and not _is_in_address(passage)
    )


def _title(found: re.Match[str], passage: Passage) -> str | None:
    """Dr Smith, St Paul: without a full stop, before a name."""
    word = found[1]
    if word in STREETS and _is_behind_name(passage) and _is_in_address(passage):
        return STREETS[word]
    return TITLES[word]


def _street(found: re.Match[str], passage: Passage) -> str | None:
    """123 Main St: without a full stop, in an address."""
    return STREETS[found[1]] if _is_behind_name(passage) and _is_in_address(passage) else None


def _house(found: re.Match[str], passage: Passage) -> str:
    """123 Main Street is one twenty three."""
    return in_pairs(found[1])


def _direction(found: re.Match[str], passage: Passage) -> str | None:
    """22 W. 5th St."""
    return _DIRECTIONS[found[1]] if passage.written()[:1].isdecimal() else None


def _initials(found: re.Match[str], passage: Passage) -> str:
    """e.g., U.S., a.m., Ph.D.: words for those that stand for some, letters for the others."""
    text = found[0].rstrip(".")
    words = INITIALS.get(text.lower())
    if words is not None:
        return words
    letters = ".".join(letter.upper() for letter in text if letter.isalpha())
    return passage.closed(letters, found, is_likely=text.islower())


def _initial(found: re.Match[str], passage: Passage) -> str | None:
    """J. K. Rowling: a full stop behind one capital ends no sentence."""
    if found[1] == "I" and passage.word() in ("and", "am", "than"):
        return None
    return spell(found[1])


def _letter_a(found: re.Match[str], passage: Passage) -> str | None:
    """A as a letter: "vitamin A", "plan A", "A, B and C"."""
    is_letter = passage.word() in LETTER_NAMED or _LETTERS_FOLLOW.match(passage.text, found.end())
    return "eh" if is_letter else None


def _state(found: re.Match[str], passage: Passage) -> str | None:
    """Austin, TX 78701."""
    code, postal = found.groups()
    if code not in STATES:
        return None
    is_behind_comma = passage.text[max(0, found.start() - 2) : found.start()] == ", "
    if postal is None:
        is_meant = is_behind_comma and passage.written()[:1].isupper()
        return STATES[code] if is_meant else None
    if code in BARE and not is_behind_comma:
        return None
    return f"{STATES[code]}, " + ", ".join(map(numerals.digits, postal.split("-")))


def _any_of(words: dict[str, str]) -> str:
    return "|".join(words)


RULES: Final[tuple[Rule, ...]] = (
    Rule(LETTER, r"([A-Z]{2})(?: (\d{5}(?:-\d{4})?))?(?!\w)", _state),
    Rule(LETTER, r"(?:[A-Za-z]\.){2,6}(?![A-Za-z])|(?:[A-Za-z]\.){1,5}[A-Za-z](?![\w.])|Ph\.D\.?", _initials),
    Rule(LETTER, rf"({_any_of(TITLES)})(?= [A-Z][a-z])", _title),
    Rule(LETTER, rf"({_any_of(STREETS)})(?![\w.])", _street),
    Rule(LETTER, r"([A-Za-z]{1,6})\.(?!\w)", _abbreviation),
    Rule(LETTER, r"([NSEW])\.? (?=[A-Z\d])", _direction),
    Rule(LETTER, r"([A-Z])\.(?= (?:[A-Z]\. ){0,4}[A-Z][a-z])", _initial),
    Rule(LETTER, r"A(?![\w'&.])", _letter_a),
    Rule(
        DIGIT,
        rf"(\d{{3,4}})(?= (?:[NSEW]\.? )?(?:[A-Z][a-z]+|\d{{1,3}}(?:st|nd|rd|th)) (?:[A-Z][a-z]+ )?"
        rf"(?:{'|'.join([*STREETS, *STREETS.values()])})\b)",
        _house,
    ),
)  # fmt: skip
