"""A text as it is read aloud."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from waav.speech.reading import (
    abbreviations,
    addresses,
    amounts,
    calendar,
    digits,
    names,
    numerals,
    signs,
)
from waav.speech.reading.markup import PAUSE, PAUSE_END, plain
from waav.speech.reading.page import English, Page, Rules
from waav.speech.reading.vocabulary import FRACTION_SIGNS


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence that the text asks for.

    Args:
        lasts_s: seconds.
    """

    lasts_s: float


_AMERICAN: Final = English()
_BRITISH: Final = English(is_day_first=True, says_and=True, hash_name="hash")
_COUNTRIES: Final = {
    "US": _AMERICAN,
    "CA": _AMERICAN,
    "PH": _AMERICAN,
    "GB": _BRITISH,
    "UK": _BRITISH,
    "IE": _BRITISH,
    "AU": _BRITISH,
    "NZ": _BRITISH,
    "ZA": _BRITISH,
    "IN": _BRITISH,
}
_RULES: Final = Rules(
    (
        *addresses.RULES,
        *digits.RULES,
        *calendar.RULES,
        *amounts.RULES,
        *abbreviations.RULES,
        *names.RULES,
        *digits.LATER,
        *amounts.PLAIN,
        *signs.RULES,
    )
)
# Fractions and raised figures count as letters to ``re``.
_LETTERS: Final = rf"[^\W\d_{FRACTION_SIGNS}²³]+"
_WORD: Final = re.compile(rf"{_LETTERS}(?:'{_LETTERS})*")
_SPACE: Final = re.compile(r"[^\S\n]+")
_LINE_ENDS: Final = re.compile(r"[\s]*\n[\s]*")
_SENTENCE_END: Final = re.compile(r"[.!?…]+[\"')\]]*")
_LONG: Final = 240
"""Characters after which a sentence without end is given out at its next space."""


def aloud(text: str, language: str = "en-US") -> Iterator[str | Pause]:
    """What a person would say who reads ``text``: sentences, and pauses that the text asks for, in order.

    A sentence is given out before the next is looked at; a very long one in parts. Takes time in proportion to the
    text's length, whatever it is. What is left are words, apostrophes, and the signs ``. , ; : ! ? … —``.

    Args:
        text: plain text, Markdown, or with tags of SSML.
        language: BCP 47 tag of an English; its country decides how dates and numbers are read.

    Raises:
        ValueError: for a language other than English.
    """
    page = Page(plain(text), country(language))
    place, end = 0, len(page.text)
    while place < end:
        if page.text[place] == PAUSE:
            yield from _sentence(page)
            behind = page.text.index(PAUSE_END, place)
            yield Pause(int(page.text[place + 1 : behind]) / 1000)
            place = behind + 1
            continue
        place = _next(page, place)
        if page.is_over or (page.length > _LONG and place < end and page.text[place] == " "):
            yield from _sentence(page)
    yield from _sentence(page)


def country(language: str) -> English:
    """How the English of that tag is read; American where no country is named."""
    name, *rest = re.split("[-_]", language)
    if name.lower() not in ("en", "eng", "auto", ""):
        raise ValueError(f"there are no reading rules for {language!r}")
    return next(
        (_COUNTRIES[part.upper()] for part in rest if part.upper() in _COUNTRIES), _AMERICAN
    )


def _sentence(page: Page) -> Iterator[str]:
    said = _tidy(page.take())
    if any(map(str.isalnum, said)):
        yield said


def _next(page: Page, place: int) -> int:
    """Say what is at ``place``; returns where it ends."""
    text = page.text
    character = text[place]
    if character.isspace():
        return _space(page, place)
    if not _is_inside(page, place):
        end = _RULES.apply(page, place)
        if end > place:
            return end
    word = _WORD.match(text, place)
    if word:
        page.copy(word[0])
        page.note(word[0])
        return word.end()
    if character in ".!?…":
        return _stop(page, place)
    if character in ",;:":
        page.copy(character)
    elif character.isdecimal():
        page.say(numerals.digits(character))
    elif (
        character == "-"
        and page.character(place - 1).isalpha()
        and page.character(place + 1).isalpha()
    ):
        page.copy("-")
    return place + 1


def _space(page: Page, place: int) -> int:
    line_end = _LINE_ENDS.match(page.text, place)
    if line_end:
        page.copy(". ")
        page.end_sentence()
        return line_end.end()
    page.copy(" ")
    space = _SPACE.match(page.text, place)
    return space.end() if space else place + 1


def _is_inside(page: Page, place: int) -> bool:
    """Whether a sign stands inside a word, where it begins nothing."""
    return (
        page.text[place] in "-.'"
        and page.character(place - 1).isalnum()
        and page.character(place + 1).isalnum()
    )


def _stop(page: Page, place: int) -> int:
    """The end of a sentence, or a full stop that stands for nothing."""
    found = _SENTENCE_END.match(page.text, place)
    assert found is not None
    signs_met = found[0]
    page.copy(_strongest(signs_met))
    if page.character(found.end()).isspace():
        page.end_sentence()
    return found.end()


def _strongest(signs_met: str) -> str:
    """ "?!" is a question, "..." a pause, "!!!" one exclamation."""
    if "?" in signs_met or "!" in signs_met:
        return "?" if "?" in signs_met else "!"
    return "…" if "…" in signs_met or signs_met.startswith("..") else "."


_STOPS: Final = re.compile(r"[ ,;:.!?…—]{2,}")


def _tidy(said: str) -> str:
    """One sign where several meet: the one that ends a sentence, else the first."""
    return _STOPS.sub(_one_stop, said).strip(" ,;:—").lstrip(".!?…").lstrip()


def _one_stop(found: re.Match[str]) -> str:
    text = found[0]
    signs_met = text.replace(" ", "")
    if not signs_met:
        return " "
    end = next((sign for sign in signs_met if sign in ".!?…"), "")
    if not end and "—" in signs_met:
        return " — "
    return (end or signs_met[0]) + (" " if " " in text or len(signs_met) > 1 else "")
