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
from waav.speech.reading.passage import English, Passage, Rules
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
    passage = Passage(plain(text), country(language))
    place, end = 0, len(passage.text)
    while place < end:
        if passage.text[place] == PAUSE:
            yield from _sentence(passage)
            behind = passage.text.index(PAUSE_END, place)
            yield Pause(int(passage.text[place + 1 : behind]) / 1000)
            place = behind + 1
            continue
        place = _next(passage, place)
        if passage.is_over or (
            passage.length > _LONG and place < end and passage.text[place] == " "
        ):
            yield from _sentence(passage)
    yield from _sentence(passage)


def prepare() -> None:
    """Do now what the first text would have to wait for."""
    _RULES.prepare()


def country(language: str) -> English:
    """How the English of that tag is read; American where no country is named."""
    name, *rest = re.split("[-_]", language)
    if name.lower() not in ("en", "eng", "auto", ""):
        raise ValueError(f"there are no reading rules for {language!r}")
    return next(
        (_COUNTRIES[part.upper()] for part in rest if part.upper() in _COUNTRIES), _AMERICAN
    )


def _sentence(passage: Passage) -> Iterator[str]:
    said = _tidy(passage.take())
    if any(map(str.isalnum, said)):
        yield said


def _next(passage: Passage, place: int) -> int:
    """Say what is at ``place``; returns where it ends."""
    text = passage.text
    character = text[place]
    if character.isspace():
        return _space(passage, place)
    if not _is_inside(passage, place):
        end = _RULES.apply(passage, place)
        if end > place:
            return end
    word = _WORD.match(text, place)
    if word:
        passage.copy(word[0])
        passage.note(word[0])
        return word.end()
    if character in ".!?…":
        return _stop(passage, place)
    if character in ",;:":
        passage.copy(character)
    elif character.isdecimal():
        passage.say(numerals.digits(character))
    elif (
        character == "-"
        and passage.character(place - 1).isalpha()
        and passage.character(place + 1).isalpha()
    ):
        passage.copy("-")
    return place + 1


def _space(passage: Passage, place: int) -> int:
    line_end = _LINE_ENDS.match(passage.text, place)
    if line_end:
        passage.copy(". ")
        passage.end_sentence()
        return line_end.end()
    passage.copy(" ")
    space = _SPACE.match(passage.text, place)
    return space.end() if space else place + 1


def _is_inside(passage: Passage, place: int) -> bool:
    """Whether a sign stands inside a word, where it begins nothing."""
    return (
        passage.text[place] in "-.'"
        and passage.character(place - 1).isalnum()
        and passage.character(place + 1).isalnum()
    )


def _stop(passage: Passage, place: int) -> int:
    """The end of a sentence, or a full stop that stands for nothing."""
    found = _SENTENCE_END.match(passage.text, place)
    assert found is not None
    signs_met = found[0]
    passage.copy(_strongest(signs_met))
    if passage.character(found.end()).isspace():
        passage.end_sentence()
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
