"""How much: money, measures, percents, fractions, ranges and plain numbers."""

import re
from typing import Final

from waav.speech.reading import numerals
from waav.speech.reading.passage import DIGIT, LETTER, Passage, Rule
from waav.speech.reading.vocabulary import (
    BEFORE_SINGULAR,
    BEFORE_YEARS,
    COINS,
    CURRENCIES,
    FRACTION_SIGNS,
    MANY,
    NO_NOUNS,
    PARTS,
    PER,
    SCALE_WORDS,
    SCALES,
    SIGNS,
    UNITS,
)

# 1,234,567.89 and, as in India, 12,34,567; three hundred digits are no number but are read all the same.
NUMBER: Final = (
    r"(?:\d{1,3}(?:,\d{2,3}){0,6},\d{3}(?!\d)(?:\.\d{1,30})?|\d{1,30}(?:\.\d{1,30})?|\.\d{1,30})"
)
_DASH: Final = r"(?: ?[\-–—] ?| to )"
_SCALE: Final = rf"(?:(?: ?(?:{'|'.join(SCALE_WORDS)}|bn|Bn|mn|tn|mm|MM)|[kKmMbBtT])(?!\w))?"
_MINUS: Final = "[-−]"
_NOUN_FOLLOWS: Final = re.compile(r"[ \-]([a-z]+)\b")


def _any_of(words: object) -> str:
    return "|".join(re.escape(word) for word in sorted(map(str, words), key=len, reverse=True))  # type: ignore[call-overload]


def number(text: str, passage: Passage) -> str:
    """A number as it is written, commas and decimals included."""
    return numerals.decimal(text.replace(",", ""), passage.english.says_and)


def _is_one(text: str) -> bool:
    return text.replace(",", "").lstrip("0") == "1"


# Money.

# As on the continent, 1.234,56.
_PRICE: Final = rf"(?:\d{{1,3}}(?:\.\d{{3}}){{0,3}},\d\d(?![\d,])|{NUMBER})"
_MONEY: Final = (
    rf"({_MINUS}?) ?(?:({_any_of(CURRENCIES)}) ?({_MINUS}?))({_PRICE})({_SCALE})"
    rf"(?:({_DASH})(?:{_any_of(CURRENCIES)})? ?({NUMBER})({_SCALE}))?(?:\s?/ ?({_any_of(PER)})(?!\w))?"
)
_MONEY_BEHIND: Final = (
    rf"({_MINUS}?)({_PRICE})({_SCALE}) ?({_any_of(sign for sign in CURRENCIES if sign not in ('Ft', '$', 'kr'))})(?!\w)"
    rf"(?:/({_any_of(PER)})(?!\w))?"
)


def _money(found: re.Match[str], passage: Passage) -> str | None:
    minus, sign, minus_too, one, scale, dash, two, scale_too, per = found.groups()
    if sign[-1].isalpha() and passage.character(found.start() - 1).isalnum():
        return None
    low = _price(one, scale, sign, passage)
    if two is not None and dash is not None:
        last = _price(two, scale_too, sign, passage)
        # What is bought is named once: five to ten dollars.
        first = (
            number(one, passage)
            if "." not in one and scale in ("", scale_too) and "." not in two
            else low
        )
        low = f"{first} to {last}"
    elif _takes_singular(found, passage, one):
        low = f"{number(one, passage)}{_scaled(scale)} {CURRENCIES[sign][0]}"
    words = f"minus {low}" if minus or minus_too else low
    return f"{words} per {PER[per]}" if per else words


def _takes_singular(found: re.Match[str], passage: Passage, one: str) -> bool:
    noun = _NOUN_FOLLOWS.match(passage.text, found.end())
    if noun is None or "." in one:
        return False
    return noun[1] in COINS or _qualifies(found, passage)


def _qualifies(found: re.Match[str], passage: Passage) -> bool:
    """Whether an amount says of what kind a thing is, and stands in the singular then: a five dollar fee."""
    noun = _NOUN_FOLLOWS.match(passage.text, found.end())
    return noun is not None and noun[1] not in NO_NOUNS and passage.word() in BEFORE_SINGULAR


def _accounting(found: re.Match[str], passage: Passage) -> str | None:
    """Amounts in brackets are negative in books."""
    inner = re.compile(_MONEY).match(passage.text, found.start() + 1)
    if inner is None or inner.end() != found.end() - 1:
        return None
    words = _money(inner, passage)
    return f"minus {words}" if words else None


def _money_behind(found: re.Match[str], passage: Passage) -> str | None:
    minus, one, scale, sign, per = found.groups()
    words = ("minus " if minus else "") + _price(one, scale, sign, passage)
    return f"{words} per {PER[per]}" if per else words


def _price(text: str, scale: str, sign: str, passage: Passage) -> str:
    one, many, cent, cents = (*CURRENCIES[sign], "", "")[:4]
    # Behind a comma three digits are thousands, two are cents: €12,50.
    if re.fullmatch(r"[\d.]{1,15},\d\d", text):
        text = text.replace(".", "").replace(",", ".")
    whole, point, part = text.replace(",", "").partition(".")
    if scale:
        return f"{number(text, passage)}{_scaled(scale)} {many}"
    if len(part) == 1 and cent:
        part += "0"
    if not point or not cent or len(part) != 2:
        if part and not part.strip("0"):
            part = point = ""
        return f"{number(whole + point + part, passage)} {one if _is_one(whole) and not part else many}"
    said = []
    if whole.strip("0") or part == "00":
        said.append(
            f"{numerals.cardinal(whole, passage.english.says_and)} {one if _is_one(whole) else many}"
        )
    if part != "00":
        said.append(f"{numerals.cardinal(part)} {cent if part == '01' else cents}")
    return " and ".join(said)


def _scaled(scale: str) -> str:
    scale = scale.strip()
    return f" {SCALES.get(scale, scale)}" if scale else ""


# Measures.

_SQUARES: Final = {"²": "square", "2": "square", "³": "cubic", "3": "cubic"}
_QUANTITY: Final = rf"([\-−±]?)({NUMBER})(?:({_DASH})({NUMBER}))?( ?-?)({_any_of(UNITS)})([²³])?(?:/({_any_of(PER)})(?!\w))?(?![\w²³])(?:\.(?= [a-z\d(]))?"
_NEEDS_TOUCH: Final = frozenset({"m", "t", "g", "l", "s", "h", "B", "V", "W", "J", "L", "in"})
_STREET_FOLLOWS: Final = re.compile(r"W\. [A-Z\d]")


def _quantity(found: re.Match[str], passage: Passage) -> str | None:
    minus, one, _, two, gap, unit, power, per = found.groups()
    if (
        gap == " -"
        or (unit == "B" and not gap)
        or (unit == "W" and _STREET_FOLLOWS.match(passage.text, found.start(6)))
    ):
        return None
    single, several = UNITS[unit]
    if power:
        single, several = (f"{_SQUARES[power]} {words}" for words in (single, several))
    is_one = _is_one(one) and two is None
    words = number(one, passage)
    if two is not None:
        words += f" to {number(two, passage)}"
    sign = {"": "", "±": "plus or minus "}.get(minus, "minus ")
    words = f"{sign}{words} {single if is_one or gap.endswith('-') or _qualifies(found, passage) else several}"
    return f"{words} per {PER[per]}" if per else words


def _degrees(found: re.Match[str], passage: Passage) -> str:
    minus, one, _, two, kind = found.groups()
    words = ("minus " if minus else "") + number(one, passage)
    if two:
        words += f" to {number(two, passage)}"
    degrees = "degree" if _is_one(one) and not two else "degrees"
    scale = {"C": " Celsius", "F": " Fahrenheit", "K": " Kelvin"}.get(kind or "", "")
    return f"{words} {degrees}{scale}"


def _percent(found: re.Match[str], passage: Passage) -> str:
    minus, one, _, two, sign = found.groups()
    words = {"": "", "+": "plus ", "±": "plus or minus "}.get(minus, "minus ") + number(
        one, passage
    )
    if two:
        words += f" to {number(two, passage)}"
    return f"{words} {SIGNS[sign]}"


def _feet_and_inches(found: re.Match[str], passage: Passage) -> str:
    feet, inches = found.groups()
    foot = "foot" if _is_one(feet) else "feet"
    return (
        f"{number(feet, passage)} {foot} {number(inches, passage)}"
        if inches
        else f"{number(feet, passage)} {foot}"
    )


def _feet_inches(found: re.Match[str], passage: Passage) -> str:
    feet, inches = found.groups()
    words = f"{number(feet, passage)} {'foot' if _is_one(feet) else 'feet'}"
    return f"{words} {number(inches, passage)} {'inch' if _is_one(inches) else 'inches'}"


def _by(found: re.Match[str], passage: Passage) -> str | None:
    """3 m x 4 m."""
    return "by" if passage.written()[:1].isdecimal() else None


def _inches(found: re.Match[str], passage: Passage) -> str | None:
    """24" is inches, unless a quotation ends there."""
    before = passage.text[max(0, found.start() - 60) : found.start()]
    if before.count('"') % 2:
        return None
    return f"{number(found[1], passage)} {'inch' if _is_one(found[1]) or passage.text[found.end() : found.end() + 1] == ' ' else 'inches'}"


def _cents(found: re.Match[str], passage: Passage) -> str:
    return f"{number(found[1], passage)} {'cent' if _is_one(found[1]) else 'cents'}"


# Durations and sizes.


def _duration(found: re.Match[str], passage: Passage) -> str | None:
    """1h 30m, 2h15, 5m30s."""
    said = []
    for value, names in zip(found.groups(), ("hour", "minute", "second"), strict=True):
        if value is not None:
            said.append(f"{number(value, passage)} {names if _is_one(value) else names + 's'}")
    return " ".join(said) if len(said) > 1 else None


def _size(found: re.Match[str], passage: Passage) -> str:
    return " by ".join(number(text, passage) for text in re.findall(NUMBER, found[0]))


def _times(found: re.Match[str], passage: Passage) -> str:
    return f"{number(found[1], passage)} times"


# Fractions, ranges and scores.

_DENOMINATORS: Final = {"2": ("half", "halves"), "4": ("quarter", "quarters")}
_SINGLE_FOLLOWS: Final = re.compile(r"[ \-](?:inch|mile|hour|pound|cup|ounce|acre|gallon|time)\b")
_OUT_OF: Final = frozenset({"10/10", "5/5", "100/100", "3/3", "4/4"})
_AS_A_PAIR: Final = frozenset({"24/7", "20/20", "50/50", "80/20", "60/40", "70/30", "90/10"})


def _fraction(found: re.Match[str], passage: Passage) -> str | None:
    whole, over, under = found.groups()
    text = f"{over}/{under}"
    if whole is None and text in _AS_A_PAIR:
        return f"{numerals.cardinal(over)} {numerals.cardinal(under)}"
    if whole is None and text in _OUT_OF:
        return f"{numerals.cardinal(over)} out of {numerals.cardinal(under)}"
    if text == "9/11":
        return "nine eleven"
    if under.strip("0") == "" or under == "1":
        return None
    if whole is None and under not in PARTS and int(over) <= 12 and int(under) <= 31:
        return None  # a date
    if int(over) >= int(under) and (int(under) > 16 or int(over) > 30):
        return f"{numerals.cardinal(over)} over {numerals.cardinal(under)}"
    words = _parts(over, under)
    if whole is None:
        # A three quarter inch pipe.
        is_kind = passage.word() in ("a", "an") and _SINGLE_FOLLOWS.match(passage.text, found.end())
        return words.removesuffix("s") if is_kind else words
    if text == "1/2":
        words = "a half"
    elif over == "1":
        words = f"{'an' if under in ('8', '11', '18') else 'a'} {words.removeprefix('one ')}"
    return f"{numerals.cardinal(whole)} and {words}"


def _parts(over: str, under: str) -> str:
    named = _DENOMINATORS.get(under)
    if named is None:
        single = numerals.ordinal(under)
        named = (single, single + "s")
    return f"{numerals.cardinal(over)} {named[int(over) != 1]}"


def _with_fraction_sign(found: re.Match[str], passage: Passage) -> str:
    """1½ is one and a half."""
    words = SIGNS[found[2]]
    if words.startswith("one "):
        rest = words.removeprefix("one ")
        words = f"{'an' if rest == 'eighth' else 'a'} {rest}"
    return f"{number(found[1], passage)} and {words}"


def _range(found: re.Match[str], passage: Passage) -> str | None:
    one, two = found.groups()
    if _is_year(one) and two.isdecimal() and len(two) in (2, 4):
        last = (
            numerals.year(two, passage.english.says_and)
            if len(two) == 4
            else numerals.cardinal(two)
        )
        return f"{numerals.year(one, passage.english.says_and)} to {last}"
    return f"{number(one, passage)} to {number(two, passage)}"


def _score(found: re.Match[str], passage: Passage) -> str:
    """4.5/5 stars."""
    return f"{number(found[1], passage)} out of {number(found[2], passage)}"


def _ratio(found: re.Match[str], passage: Passage) -> str:
    return f"{number(found[1], passage)} to {number(found[2], passage)}"


# Plain numbers.

_COUNTED: Final = re.compile(r" ?-?([a-z]+)")


def _is_year(text: str) -> bool:
    return len(text) == 4 and text.isdecimal() and "1100" <= text <= "2099"


def _plain(found: re.Match[str], passage: Passage) -> str | None:
    sign, text, scale = found.groups()
    words = {"": "", "+": "plus ", "±": "plus or minus "}.get(sign, "minus ")
    if scale:
        return f"{words}{number(text, passage)}{_scaled(scale)}"
    if not sign and _is_year(text) and _reads_as_year(found, passage, text):
        return numerals.year(text, passage.english.says_and)
    return words + number(text, passage)


def _reads_as_year(found: re.Match[str], passage: Passage, text: str) -> bool:
    """1987 and 2025 are years unless they count something; 1500 is one only behind "in" and the like."""
    behind = _COUNTED.match(passage.text, found.end())
    is_counting = (
        behind is not None
        and (behind[1].endswith("s") or behind[1] in MANY)
        and behind[1] not in ("is", "was", "as", "has")
    )
    before = passage.word().rstrip(".")
    if before in BEFORE_YEARS:
        return not is_counting or before in ("in", "since", "during")
    return text >= "1900" and text[2:] != "00" and not is_counting


def _ordinal(found: re.Match[str], passage: Passage) -> str:
    return numerals.ordinal(found[1].replace(",", ""), passage.english.says_and)


def _scientific(found: re.Match[str], passage: Passage) -> str:
    base, minus, power = found.groups()
    return f"{number(base, passage)} times ten to the {'minus ' if minus else ''}{numerals.cardinal(power)}"


def _power(found: re.Match[str], passage: Passage) -> str:
    base, minus, power = found.groups()
    return f"{number(base, passage)} to the power of {'minus ' if minus else ''}{number(power, passage)}"


def _squared(found: re.Match[str], passage: Passage) -> str:
    return f"{number(found[1], passage)} {SIGNS[found[2]]}"


def _minus_between(found: re.Match[str], passage: Passage) -> str:
    return f"{number(found[1], passage)} minus {number(found[2], passage)}"


_MONEY_BEGINS: Final = "".join(sorted({sign[0] for sign in CURRENCIES if not sign[0].isalpha()}))
_MONEY_LETTERS: Final = "a"

RULES: Final[tuple[Rule, ...]] = (
    Rule(_MONEY_BEGINS + _MONEY_LETTERS + "-−", _MONEY, _money),
    Rule("(", rf"\((?:{_any_of(CURRENCIES)}) ?{NUMBER}\)", _accounting),
    Rule(LETTER, r"x(?= ?\d)", _by),
    Rule(DIGIT + "-−", _MONEY_BEHIND, _money_behind),
    Rule(DIGIT, rf"({NUMBER}) ?¢", _cents),
    Rule(DIGIT + "-−.", rf"({_MINUS}?)({NUMBER})(?:({_DASH})({NUMBER}))? ?(?:°|º|˚) ?([CFK](?!\w))?", _degrees),
    Rule(DIGIT + "-−+±.", rf"([\-−+±]?)({NUMBER})(?:%?({_DASH})({NUMBER}))? ?([%‰])", _percent),
    Rule(DIGIT, r"(\d{1,3}) ?h(?:rs?|ours?)? ?(\d{1,2}) ?(?:m(?:ins?)?)?(?: ?(\d{1,2}) ?s(?:ecs?)?)?(?!\w)", _duration),
    Rule(DIGIT, r"()?(\d{1,3}) ?m(?:in)? ?(\d{1,2}) ?s(?:ecs?)?(?!\w)", lambda found, passage: _duration(found, passage)),
    Rule(DIGIT, r"(\d{1,2}) ?(?:ft|feet)\.? (\d{1,2}) ?in\b\.?(?= [a-z]|[,;:!?]|\Z)", _feet_inches),
    Rule(DIGIT, r"(\d{1,2})['’′] ?(?:(\d{1,2})(?:[\"”″]|''|(?!\w)))", _feet_and_inches),
    Rule(DIGIT, rf"({NUMBER})[\"″](?!\w)", _inches),
    Rule(DIGIT, rf"{NUMBER}(?: ?[x×] ?{NUMBER}){{1,3}}(?!\w)", _size),
    Rule(DIGIT + "-−±.", _QUANTITY, _quantity),
    Rule(DIGIT, rf"({NUMBER})[x×](?!\w)", _times),
    Rule(DIGIT, rf"(\d{{1,6}})([{FRACTION_SIGNS}])", _with_fraction_sign),
    Rule(DIGIT, r"(?:(\d{1,4})[ \-])?(\d{1,3})[/⁄](\d{1,4})(?![\w/])", _fraction),
    Rule(DIGIT, r"(\d{1,4})(?:st|nd|rd|th|ST|ND|RD|TH)(?!\w)", _ordinal),
    Rule(DIGIT, r"(\d{1,3}(?:,\d{3}){1,4})(?:st|nd|rd|th)(?!\w)", _ordinal),
    Rule(DIGIT, rf"({NUMBER})[eE]([\-+]?)(\d{{1,3}})(?!\w)", lambda found, passage: _scientific(found, passage)),
    Rule(DIGIT, rf"({NUMBER})(?:\^|\*\*)([\-−]?)({NUMBER})", _power),
    Rule(DIGIT, rf"({NUMBER})([²³])", _squared),
    Rule(DIGIT, rf"({NUMBER}) [\-−–] ({NUMBER})(?= ?=)", _minus_between),
    Rule(DIGIT, rf"({NUMBER})(?: ?[\-–—] ?)({NUMBER})(?![\w\-])", _range),
    Rule(DIGIT, r"(\d{1,3}\.\d{1,2})/(\d{1,3})(?![\w/])", _score),
    Rule(DIGIT, r"(\d{1,3}):(\d{1,3})(?![\d:])", _ratio),
)  # fmt: skip

PLAIN: Final[tuple[Rule, ...]] = (
    Rule(DIGIT + "-−+±.", rf"([\-−+±]?)({NUMBER})({_SCALE})(?![\d])", _plain),
)
