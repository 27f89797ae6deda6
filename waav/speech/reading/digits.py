"""What is read digit by digit: telephone numbers, codes and PINs, card numbers, anything that begins with a zero."""

import re
from typing import Final

from waav.speech.reading import numerals
from waav.speech.reading.passage import DIGIT, LETTER, Passage, Rule
from waav.speech.reading.vocabulary import CODES, DIALLED, FILLERS, NUMBERED, ROOMS, SCALES, UNITS

_MARK: Final = "\ue002"
"""Remembered before what was read as a code, so that others of the same sentence are."""
_EXTENSION: Final = r"(?:,? ?(?:extension|ext\.?|x) ?(\d{1,6}))?"
_END: Final = r"(?![\w])(?!-\d)"
_SHORT_NUMBERS: Final = frozenset({"911", "988", "411", "311", "211", "511", "611", "711", "811"})
_COUNTED: Final = re.compile(
    r" (?:people|times?|days?|hours?|minutes?|seconds?|miles?|dollars|points|pages|items?|cases|attempts?|digits?"
    r"|characters?|calls?|units?|tries|more|of|am|pm|a\.m|p\.m|AM|PM)\b"
)


_AMOUNT: Final = re.compile(r"\d{1,6}([A-Za-z]{1,4})")


def spell(letters: str) -> str:
    """Letters one by one, each by its name. "A" alone would be said like the article."""
    return " ".join("eh" if letter in "aA" else letter.upper() for letter in letters)


def in_groups(text: str) -> str:
    """Digits by their names, with a pause wherever they are not written together."""
    groups = re.findall(r"\d+", text)
    return ", ".join(
        numerals.digits(part) for group in groups for part in (_parts(group) if len(group) > 5 else [group])
    )  # fmt: skip


def _parts(group: str) -> list[str]:
    """Many digits in parts that one can remember: 3 3 4 for ten of them, fours for sixteen, else threes."""
    if len(group) == 11 and group[0] == "1":
        return ["1", *_parts(group[1:])]
    if len(group) % 4 == 0 and len(group) >= 8:
        return [group[start : start + 4] for start in range(0, len(group), 4)]
    cuts = list(range(0, len(group), 3))
    if len(group) % 3 == 1:
        cuts.pop()
    return [group[start:end] for start, end in zip(cuts, [*cuts[1:], len(group)], strict=True)]


def names_code(passage: Passage, length: int) -> bool:
    """Whether what was said before means that the characters now are to be read one by one."""
    is_told = False
    for ago in range(1, 7):
        word = passage.word(ago).strip("#:=.,")
        if word[:1].isdecimal() and passage.word(ago + 1) == _MARK:
            return length >= 3
        if word in CODES:
            return True
        if word in NUMBERED and word not in ("no", "number", "numbers"):
            return length >= (4 if is_told else 5)
        if word in ("number", "numbers") and length >= 5:
            return True
        if word and word not in FILLERS:
            return False
        is_told = True
    return False


def _code(found: re.Match[str], passage: Passage) -> str | None:
    text = found[0]
    characters = sum(map(str.isalnum, text))
    if _COUNTED.match(passage.text, found.end()) or not names_code(passage, characters):
        return None
    amount = _AMOUNT.fullmatch(text)
    if amount and (amount[1] in UNITS or amount[1] in SCALES):
        return None
    passage.note(_MARK)
    if text.replace(" ", "").replace("-", "").isdecimal():
        return in_groups(text)
    return ", ".join(map(_word_or_letters, re.split(r"[ \-]+", text)))


def _word_or_letters(part: str) -> str:
    """A part of a code: letters that make a word stay one, as in SAVE20."""
    found = re.fullmatch(r"([A-Za-z]{4,})(\d*)", part)
    if found and re.search("[AEIOUYaeiouy]", found[1]):
        return f"{found[1].lower()} {numerals.digits(found[2])}".strip()
    runs = re.findall(r"\d+|[A-Za-z]+", part)
    return " ".join(numerals.digits(run) if run.isdecimal() else spell(run) for run in runs)


def _four_by_four(found: re.Match[str], passage: Passage) -> str | None:
    """A card's number; several years are none."""
    if all(part[:2] in ("18", "19", "20") for part in found[0].split(" ")):
        return None
    return _told(found, passage)


def _told(found: re.Match[str], passage: Passage) -> str:
    """A telephone number: digits, and pauses between its groups."""
    passage.note(_MARK)
    text = found[0]
    extension = found.group(found.re.groups) if found.re.groups else None
    if extension:
        text = text[: found.start(found.re.groups) - found.start()]
    plus = "plus " if text.startswith("+") else ""
    words = plus + in_groups(text)
    return f"{words}, extension {numerals.digits(extension)}" if extension else words


def _international(found: re.Match[str], passage: Passage) -> str | None:
    return _told(found, passage) if len(re.findall(r"\d", found[0])) >= 7 else None


def _vanity(found: re.Match[str], passage: Passage) -> str:
    """1-800-FLOWERS: words are words, and other letters are spelled."""
    parts = [
        numerals.digits(part) if part.isdecimal()
        else part.lower() if re.search("[AEIOUY]", part) and len(part) > 2
        else spell(part)
        for part in found[0].split("-")
    ]  # fmt: skip
    return ", ".join(parts)


def _dialled(found: re.Match[str], passage: Passage) -> str | None:
    """Digits behind "call": three or more are a number one dials."""
    if not _is_dialled(passage):
        return None
    if len(found[0]) < 3 or _COUNTED.match(passage.text, found.end()):
        return None
    return _told(found, passage)


def _is_dialled(passage: Passage) -> bool:
    """Behind "call", "call us at", "text STOP to"."""
    if passage.word() in DIALLED:
        return True
    if passage.word() not in ("at", "on", "to", "from"):
        return False
    return any(passage.word(ago) in DIALLED for ago in (2, 3, 4))


def _emergency(found: re.Match[str], passage: Passage) -> str | None:
    if found[0] not in _SHORT_NUMBERS or _COUNTED.match(passage.text, found.end()):
        return None
    if found[0] not in ("911", "988") and passage.word() not in DIALLED | {"dialed", "to"}:
        return None
    return numerals.digits(found[0])


def _bare(found: re.Match[str], passage: Passage) -> str | None:
    """Seven digits or more without a comma: an amount only if it is round."""
    text = found[0]
    if text[0] != "0" and len(text.rstrip("0")) <= 3 and len(text) <= 15:
        return None
    return _told(found, passage)


def _room(found: re.Match[str], passage: Passage) -> str | None:
    """Room 204 is two oh four, 1412 fourteen twelve; hundreds stay hundreds."""
    is_flight = "flight" in (passage.word(2), passage.word(3)) and re.fullmatch(
        r"[a-z]{2}|[a-z]\d|\d[a-z]", passage.word()
    )
    if passage.word().strip(".") not in ROOMS and passage.word() != "flight" and not is_flight:
        return None
    return in_pairs(found[0])


def in_pairs(text: str) -> str:
    """Three or four digits as house numbers are read: 123 is one twenty three."""
    if text.endswith("00") or len(text) not in (3, 4):
        return numerals.year(text) if len(text) == 4 else numerals.cardinal(text)
    if len(text) == 4:
        first, last = numerals.cardinal(text[:2]), text[2:]
    else:
        first, last = numerals.digits(text[0]), text[1:]
    return (
        f"{first} oh {numerals.digits(last[1])}"
        if last[0] == "0"
        else f"{first} {numerals.cardinal(last)}"
    )


def _keys(found: re.Match[str], passage: Passage) -> str | None:
    """*67 and *123#: what is typed on a telephone."""
    if (
        "*" not in found[0]
        and found[0][-1] != "#"
        and passage.word() not in DIALLED | {"press", "type", "enter"}
    ):
        return None
    names = {"*": "star", "#": passage.english.hash_name}
    return " ".join(names.get(key) or numerals.digits(key) for key in found[0])


def _one_group(found: re.Match[str], passage: Passage) -> str:
    """9-1-1."""
    return numerals.digits(found[0].replace("-", ""))


def _leading_zero(found: re.Match[str], passage: Passage) -> str:
    return in_groups(found[0])


RULES: Final[tuple[Rule, ...]] = (
    Rule(DIGIT, r"\d{1,15}[*#](?![\w])", _keys),
    Rule("*#", r"[*#]{1,2}\d{1,15}(?:[*#]{1,2}\d{0,15}){0,6}(?![\w.])", _keys),
    Rule("+", r"\+\d(?:[ .\-()]{0,2}\d){6,14}(?!\w)" + _EXTENSION, _international, ignores_case=True),
    Rule(DIGIT, r"1-8\d\d-(?:[A-Z\d]{1,9}-)?[A-Z]{2,10}(?!\w)", _vanity),
    Rule(
        DIGIT + "(",
        r"(?:1[ .\-])?(?:\(\d{3}\)[ \-]?|\d{3}[ .\-])\d{3}[ .\-]\d{4}" + _END + _EXTENSION,
        _told,
        ignores_case=True,
    ),
    Rule(DIGIT, r"\d{4}(?:[ \-]\d{4}){2,4}" + _END, _four_by_four),
    Rule(DIGIT, r"\d{3}-\d{2}-\d{4}" + _END, _told),
    Rule(DIGIT, r"\d(?:-\d){2,15}(?![\w\-])", _one_group),
    Rule(DIGIT + LETTER, r"(?=[A-Za-z]{0,12}\d)[A-Za-z\d]{1,24}(?:[ \-](?=[A-Z]{0,12}\d)[A-Z\d]{2,12}|-[A-Z\d]{1,12}){0,8}(?![\w%°])(?![.:/,]\d)", _code),
    Rule(DIGIT, r"\d{3}-\d{4}" + _END + _EXTENSION, _told, ignores_case=True),
    Rule(DIGIT, r"\d{3}(?:[ \-]?\d{3})?[ \-]?\d{4}(?!\w)(?![,.]\d)", _dialled),
    Rule(DIGIT, r"\d{3,8}(?!\w)(?![,.:/]\d)", _dialled),
    Rule(DIGIT, r"\d{3}(?!\w)(?![,.:/\-%]\d)", _emergency),
    Rule(DIGIT, r"0\d{1,5}(?:[ \-]\d{2,8}){1,4}(?!\w)", _told),
    Rule(DIGIT, r"\d{19,}", _told),
    Rule(DIGIT, r"\d{7,18}(?!\w)(?![,.]\d)", _bare),
    Rule(DIGIT, r"\d{3,4}(?!\w)(?![,.:/]\d)", _room),
)  # fmt: skip

LATER: Final[tuple[Rule, ...]] = (Rule(DIGIT, r"0\d{1,30}(?!\w)(?![,.:/]\d)", _leading_zero),)
"""After dates and times, which may begin with a zero as well."""
