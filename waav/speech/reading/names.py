"""Names that are no words: acronyms, letters with digits, roman numerals, versions."""

import re
from typing import Final

from waav.speech.reading import numerals
from waav.speech.reading.digits import spell
from waav.speech.reading.passage import DIGIT, LETTER, Passage, Rule
from waav.speech.reading.vocabulary import (
    ABBREVIATIONS,
    BARE,
    FIRST_NAMES,
    NO_NUMERALS,
    RULERS,
    SECTIONS,
    SHOUTED,
    SMALL_WORDS,
    STREETS,
    TITLES,
    VERSIONED,
)

_VOWEL: Final = re.compile("[aeiouyAEIOUY]")
_WORD_FOLLOWS: Final = re.compile(r"\s+([A-Za-z]{3,})")
_RESOLUTIONS: Final = {
    "480": "four eighty",
    "720": "seven twenty",
    "1080": "ten eighty",
    "1440": "fourteen forty",
    "2160": "twenty one sixty",
}
_PLURALS: Final = {None: "", "s": "'s", "'s": "'s"}


def dotted(letters: str) -> str:
    """Letters one by one, said as one name: F.B.I. A single letter is said by its name."""
    return ".".join(letters.upper()) if len(letters) > 1 else spell(letters)


# Capitals.


def _bare(found: re.Match[str], passage: Passage) -> str | None:
    word, possessive = found.groups()
    is_dotted = passage.character(found.end()) == "."
    if is_dotted and (word in TITLES or word in ABBREVIATIONS or word in STREETS):
        return None
    if word in SHOUTED and _is_shouted(passage, found):
        return None
    return BARE[word] + (possessive or "")


def _is_shouted(passage: Passage, found: re.Match[str]) -> bool:
    """Whether everything around is in capitals, so that capitals mean nothing."""
    around = [word for word in list(passage.heard)[-2:] if len(word) > 2 and word.isalpha()]
    behind = _WORD_FOLLOWS.match(passage.text, found.end())
    if behind:
        around.append(behind[1])
    return bool(around) and all(word.isupper() and word not in BARE for word in around)


def _capitals(found: re.Match[str], passage: Passage) -> str | None:
    """XML, UA, PCs: capitals that cannot be said as a word. Others are left to the voice's dictionary."""
    word = found[1]
    if _VOWEL.search(word) and (len(word) > 2 or word in SMALL_WORDS):
        return None
    return dotted(word) + _PLURALS[found[2]]


def _with_and(found: re.Match[str], passage: Passage) -> str:
    """R&D, AT&T."""
    return " and ".join(map(dotted, found[0].split("&")))


def _with_stroke(found: re.Match[str], passage: Passage) -> str:
    """TCP/IP."""
    return " ".join(BARE.get(part) or dotted(part) for part in found[0].split("/"))


def _from_to(found: re.Match[str], passage: Passage) -> str:
    """A-Z."""
    return f"{spell(found[1])} to {spell(found[2])}"


def _sharp(found: re.Match[str], passage: Passage) -> str:
    """C#."""
    return f"{spell(found[1])} sharp"


def _pluses(found: re.Match[str], passage: Passage) -> str:
    """C++."""
    return spell(found[1]) + " plus" * len(found[2])


def _either(found: re.Match[str], passage: Passage) -> str:
    """he/she."""
    return f"{found[1]} or {found[2]}"


# Letters with digits.


def _mixed(found: re.Match[str], passage: Passage) -> str:
    """B12, MP3, COVID-19, A1B2C3, BA2490."""
    runs = re.findall(r"\d+|[A-Za-z]+", found[0])
    return " ".join(_run(run, is_code=len(runs) > 2) for run in runs)


def _run(run: str, is_code: bool) -> str:
    if run.isdecimal():
        is_number = not is_code and run[0] != "0" and len(run) <= 2
        return numerals.cardinal(run) if is_number else numerals.digits(run)
    if run in BARE:
        return BARE[run]
    is_word = _VOWEL.search(run) and (len(run) > 3 or (len(run) > 1 and run[1:].islower()))
    if is_word:
        return run.lower() if run.isupper() else run
    return spell(run) if is_code else dotted(run)


def _digits_first(found: re.Match[str], passage: Passage) -> str:
    """4K, 5G, 3D, 2FA, 1080p, 3B."""
    number, letters = found.groups()
    if letters in "pi" and number in _RESOLUTIONS:
        return f"{_RESOLUTIONS[number]} {letters.upper()}"
    is_number = number[0] != "0" and len(number) <= 3
    return (
        f"{numerals.cardinal(number) if is_number else numerals.digits(number)} {dotted(letters)}"
    )


def _race(found: re.Match[str], passage: Passage) -> str:
    """A 10K run."""
    return f"{numerals.cardinal(found[1])} K"


def _pension(found: re.Match[str], passage: Passage) -> str:
    """401(k)."""
    return "four oh one K"


# Roman numerals.

_CENTURY: Final = re.compile(r"(?:st|nd|rd|th)? [Cc]entur")
_STOPS: Final = re.compile(
    r"$|[.,;:!?)']|\s(?:of|was|is|and|ruled|reigned|who|the|had|became|died|in)\b"
)


def _roman(found: re.Match[str], passage: Passage) -> str | None:
    """Henry VIII is the eighth, Chapter IV is four."""
    value = str(numerals.roman(found[0]))
    before = passage.written()
    if value == "0" or not before:
        return None
    if before.lower().removesuffix("'s") in SECTIONS:
        is_pronoun = found[0] == "I" and before.islower()
        return None if is_pronoun else numerals.cardinal(value)
    if _CENTURY.match(passage.text, found.end()) and len(found[0]) > 1:
        return numerals.ordinal(value)
    if not before[0].isupper():
        return None
    if found[0] == "I" and not _STOPS.match(passage.text, found.end()):
        return None
    if before in RULERS or (
        len(found[0]) > 1 and passage.written(2) in FIRST_NAMES and int(value) < 9
    ):
        return f"the {numerals.ordinal(value)}"
    # Of unknown things there are not fifty, and DL is an airline.
    if len(found[0]) == 1 or found[0] in NO_NUMERALS or not set(found[0]) <= set("IVX"):
        return None
    return numerals.cardinal(value)


def _small_roman(found: re.Match[str], passage: Passage) -> str | None:
    """Scene ii."""
    value = numerals.roman(found[0].upper())
    return numerals.cardinal(str(value)) if value and passage.word() in SECTIONS else None


# Versions.


def _version(found: re.Match[str], passage: Passage) -> str | None:
    """v2.0, Python 3.11; three parts or more are a version by themselves."""
    named, text = found.groups()
    if not named and passage.word() not in VERSIONED and text.count(".") < 2:
        return None
    words = " point ".join(
        numerals.digits(part) if part[0] == "0" or len(part) > 3 else numerals.cardinal(part)
        for part in text.split(".")
    )
    return f"version {words}" if named else words


_PARTS: Final = r"(\d{1,4}(?:\.\d{1,4}){0,5})(?!\w)(?!\.\d)(?![,:]\d)"
RULES: Final[tuple[Rule, ...]] = (
    Rule(LETTER, rf"([vV](?:er)?\.? ?){_PARTS}", _version),
    Rule(DIGIT, rf"()(?=\d{{1,4}}\.){_PARTS}", _version),
    Rule(LETTER, r"([A-Z])(\+{1,3})(?!\w)", _pluses),
    Rule(LETTER, r"([A-Ga-g])[#♯](?!\w)", _sharp),
    Rule(LETTER, r"[A-Z]{1,4}(?:&[A-Z]{1,4}){1,3}(?!\w)", _with_and),
    Rule(LETTER, r"[A-Z]{2,5}(?:/[A-Z]{2,5}){1,3}(?!\w)", _with_stroke),
    Rule(LETTER, r"([A-Z]) ?[\-–] ?([A-Z])(?![\w\-])", _from_to),
    Rule(
        LETTER,
        rf"({'|'.join(map(re.escape, sorted(BARE, key=len, reverse=True)))})(?![\w/])(?!-\w)(?!\.\w)('s)?",
        _bare,
    ),
    Rule(LETTER, r"[IVXLCDM]{1,12}(?!\w)(?!\.\w)", _roman),
    Rule(LETTER, r"[ivx]{1,6}(?!\w)(?!\.\w)", _small_roman),
    Rule(LETTER, r"[A-Za-z]{1,24}+-?\d[A-Za-z\d]{0,60}+(?:-[A-Za-z\d]{1,12}+){0,6}(?!\w)(?!\.\d)", _mixed),
    Rule(LETTER, r"([A-Z]{2,5})(s|'s)?(?!\w)", _capitals),
    Rule(LETTER, r"(he|she|him|his|her|they|He|She|They)/(she|her|hers|him|they|them)(?!\w)", _either),
    Rule(DIGIT, r"(10|5)[kK](?= (?:run|race|walk)\b)", _race),
    Rule(DIGIT, r"401\(?[kK]\)?(?!\w)", _pension),
    Rule(DIGIT, r"([48])(K)(?!\w)", _digits_first),
    Rule(DIGIT, r"(\d{1,4})([A-JN-Z]|[A-Z]{2,3}|[ip])(?!\w)", _digits_first),
)  # fmt: skip
