"""When: dates, times of day, years and decades."""

import re
from typing import Final

from waav.speech.reading import numerals
from waav.speech.reading.passage import DIGIT, LETTER, Passage, Rule
from waav.speech.reading.vocabulary import BEFORE_DATES, MONTH_OF, MONTHS, PARTS, WEEKDAY_OF

_MONTH: Final = rf"(?:{'|'.join(sorted(MONTH_OF, key=len, reverse=True))})"
_DAY_NAME: Final = rf"(?:{'|'.join(sorted(WEEKDAY_OF, key=len, reverse=True))}|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
_HALF_OF_DAY: Final = r"(?: ?([AaPp])\.? ?[Mm]\b\.?)"
_YEAR: Final = r"(?:,? ?['’]?(\d{4})(?![\d:%]))"


def month_name(text: str) -> str:
    """The whole name of a month that may be shortened."""
    return MONTH_OF[text.rstrip(".")] if text.rstrip(".") in MONTH_OF else MONTH_OF[text[:3]]


def _said(day: int, month: int, year: str | None, passage: Passage) -> str | None:
    """A date as the country says it; None if there is no such day."""
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    which = numerals.ordinal(str(day))
    words = (
        f"the {which} of {MONTHS[month - 1]}"
        if passage.english.is_day_first
        else f"{MONTHS[month - 1]} {which}"
    )
    return f"{words}, {_year(year, passage)}" if year else words


def _year(text: str, passage: Passage) -> str:
    if len(text) == 2:
        text = ("19" if text > "50" else "20") + text
    return numerals.year(text, passage.english.says_and)


def _iso(found: re.Match[str], passage: Passage) -> str | None:
    year, month, day, hour, minute, zone = found.groups()
    words = _said(int(day), int(month), year, passage)
    if words is None or hour is None:
        return words
    words += f", at {_clock(hour, minute, None, None)}"
    return f"{words} U.T.C" if zone else words


def _with_strokes(found: re.Match[str], passage: Passage) -> str | None:
    first, second, year = found.groups()
    day, month = (first, second) if passage.english.is_day_first else (second, first)
    return _said(int(day), int(month), year, passage) or _said(int(month), int(day), year, passage)


def _with_dots(found: re.Match[str], passage: Passage) -> str | None:
    day, month, year = found.groups()
    return _said(int(day), int(month), year, passage)


def _short_with_strokes(found: re.Match[str], passage: Passage) -> str | None:
    """3/14 is a date behind "on" and the like."""
    first, second = found.groups()
    is_fraction = second in PARTS or first == "0"
    if is_fraction and not _is_dated(passage):
        return None
    day, month = (first, second) if passage.english.is_day_first else (second, first)
    return _said(int(day), int(month), None, passage)


def _is_dated(passage: Passage) -> bool:
    """Behind "on" and the like, or behind another date that was."""
    if passage.word() in ("and", "or", "to", "through") and re.fullmatch(
        r"\d+/\d+", passage.word(2)
    ):
        return passage.word(3) in BEFORE_DATES
    return passage.word() in BEFORE_DATES or passage.word() in _WEEKDAYS


def _month_and_year(found: re.Match[str], passage: Passage) -> str | None:
    month, year = found.groups()
    if not 1 <= int(month) <= 12:
        return None
    return f"{MONTHS[int(month) - 1]} {numerals.year(year, passage.english.says_and)}"


def _month_day(found: re.Match[str], passage: Passage) -> str | None:
    name, day, last, year = found.groups()
    if not 1 <= int(day) <= 31:
        return None
    words = f"{month_name(name)} {'the ' if passage.english.is_day_first else ''}{numerals.ordinal(day)}"
    if last:
        words += f" to {numerals.ordinal(last)}"
    return f"{words}, {numerals.year(year, passage.english.says_and)}" if year else words


def _day_month(found: re.Match[str], passage: Passage) -> str | None:
    day, last, name, year = found.groups()
    if not 1 <= int(day) <= 31:
        return None
    words = numerals.ordinal(day)
    if last:
        words += f" to {numerals.ordinal(last)}"
    article = "" if passage.word() == "the" else "the "
    words = f"{article}{words} of {month_name(name)}"
    if year:
        return f"{words}, {numerals.year(year, passage.english.says_and)}"
    return passage.closed(words, found)


def _month_year(found: re.Match[str], passage: Passage) -> str:
    return f"{month_name(found[1])} {numerals.year(found[2], passage.english.says_and)}"


def _weekday(found: re.Match[str], passage: Passage) -> str:
    return _day_name(found[1])


def _weekdays(found: re.Match[str], passage: Passage) -> str:
    return f"{_day_name(found[1])} to {_day_name(found[2])}"


def _months(found: re.Match[str], passage: Passage) -> str:
    return f"{month_name(found[1])} to {month_name(found[2])}"


def _day_name(text: str) -> str:
    return WEEKDAY_OF.get(text, text)


_WEEKDAYS: Final = frozenset(name.lower() for name in (*WEEKDAY_OF, *WEEKDAY_OF.values()))


# Times of day.


def _clock(hour: str, minute: str | None, second: str | None, half: str | None) -> str:
    """Half past seven is seven thirty, 7:05 seven oh five, 19:00 nineteen hundred."""
    words = numerals.cardinal(hour)
    if minute is None or minute == "00":
        if half is None and minute is not None and second is None:
            if hour in ("00", "0"):
                words = "midnight"
            else:
                words += " hundred" if int(hour) > 12 else " o'clock"
    elif minute[0] == "0":
        words += f" oh {numerals.digits(minute[1])}"
    else:
        words += f" {numerals.cardinal(minute)}"
    if second is not None and second != "00":
        words += f" and {numerals.cardinal(second)} second{'' if int(second) == 1 else 's'}"
    return f"{words} {half.upper()}.M" if half else words


def _is_time(hour: str, minute: str | None, second: str | None = None) -> bool:
    return int(hour) <= 24 and int(minute or 0) <= 59 and int(second or 0) <= 59


def _time(found: re.Match[str], passage: Passage) -> str | None:
    hour, minute, second, half = found.groups()
    if not _is_time(hour, minute, second):
        return None
    return passage.closed(_clock(hour, minute, second, half), found, is_likely=True)


def _hour(found: re.Match[str], passage: Passage) -> str | None:
    hour, half = found.groups()
    if not 0 < int(hour) <= 12:
        return None
    return passage.closed(_clock(hour, None, None, half), found, is_likely=True)


def _hours(found: re.Match[str], passage: Passage) -> str | None:
    """9-5pm, 9:00-17:00, 10am to 2pm."""
    one, minute, half, two, minute_too, half_too = found.groups()
    if not (_is_time(one, minute) and _is_time(two, minute_too)):
        return None
    if minute is None and minute_too is None and half is None and half_too is None:
        return None
    # With "A M" or "P M" behind the second there is no "o'clock" behind the first.
    whole = minute == "00" and half is None and half_too is not None
    first = _clock(one, None if whole else minute, None, half)
    return passage.closed(
        f"{first} to {_clock(two, minute_too, None, half_too)}", found, is_likely=True
    )


def _decade(found: re.Match[str], passage: Passage) -> str | None:
    century, tens = found.groups()
    if tens == "00":
        words = numerals.plural(numerals.year(f"{century}00"))
        return words if century else None
    words = numerals.plural(numerals.cardinal(tens))
    return f"{numerals.cardinal(century)} {words}" if century else words


def _era(found: re.Match[str], passage: Passage) -> str:
    name = "".join(letter for letter in found[2] if letter.isalpha()).upper()
    return f"{numerals.year(found[1]) if len(found[1]) == 4 else numerals.cardinal(found[1])} {'.'.join(name)}"


def _quarter(found: re.Match[str], passage: Passage) -> str:
    quarter, year = found.groups()
    return f"Q {numerals.cardinal(quarter)} {numerals.year(year, passage.english.says_and)}"


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        DIGIT,
        r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::\d{2}(?:\.\d{1,9})?)?(Z)?)?(?![\w\-])",
        _iso,
    ),
    Rule(DIGIT, r"(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})(?![\w/])", _with_strokes),
    Rule(DIGIT, r"(\d{1,2})-(\d{1,2})-(\d{4})(?![\w\-])", _with_strokes),
    Rule(DIGIT, r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?![\w.]\d)", _with_dots),
    Rule(DIGIT, r"(\d{1,2})/(\d{1,2})(?![\w/])(?!\.\d)", _short_with_strokes),
    Rule(DIGIT, r"(\d{2})/(\d{4})(?![\w/])", _month_and_year),
    Rule(
        DIGIT,
        rf"(\d{{1,2}})(?::(\d{{2}}))?{_HALF_OF_DAY}? ?(?:[\-–—]|to) ?(\d{{1,2}})(?::(\d{{2}}))?{_HALF_OF_DAY}?(?![\w:])",
        _hours,
    ),
    Rule(DIGIT, rf"(\d{{1,2}}):(\d{{2}})(?::(\d{{2}}))?{_HALF_OF_DAY}?(?![\d:])", _time),
    Rule(DIGIT, rf"(\d{{1,2}}){_HALF_OF_DAY}(?!\w)", _hour),
    Rule(
        DIGIT,
        rf"(\d{{1,2}})(?:st|nd|rd|th)?(?: ?[\-–] ?(\d{{1,2}})(?:st|nd|rd|th)?)?(?: of)? ({_MONTH})\b\.?{_YEAR}?",
        _day_month,
    ),
    Rule(
        LETTER,
        rf"({_MONTH})\.? (\d{{1,2}})(?:st|nd|rd|th)?(?: ?[\-–] ?(\d{{1,2}})(?:st|nd|rd|th)?)?(?![\w:%]|[.,]\d){_YEAR}?",
        _month_day,
    ),
    Rule(LETTER, rf"({_MONTH})\.?,? (\d{{4}})(?!\w)", _month_year),
    Rule(LETTER, rf"({_DAY_NAME})\.? ?[\-–] ?({_DAY_NAME})\b\.?", _weekdays),
    Rule(LETTER, rf"({_MONTH})\.? ?[\-–] ?({_MONTH})\b\.?", _months),
    Rule(LETTER, rf"({'|'.join(WEEKDAY_OF)})\.?(?=,? (?:{_MONTH}\b|\d))", _weekday),
    Rule(DIGIT, r"(\d{2})(\d0)['’]?s(?!\w)", _decade),
    Rule(DIGIT + "'’", r"['’]?()?([2-9]0)['’]?s(?!\w)", _decade),
    Rule(DIGIT, r"(\d{1,4}) ?(B\.?C\.?E?\b\.?|A\.?D\b\.?|C\.?E\b\.?)(?!\w)", _era),
    Rule(LETTER, r"Q([1-4])[ \-]?'?(\d{4})(?!\w)", _quarter),
)  # fmt: skip
