"""Single signs: said, a pause, or nothing."""

import re
from typing import Final

from waav.speech.reading.passage import Passage, Rule
from waav.speech.reading.vocabulary import SIGNS

_ROUND: Final = re.compile(r" ?[)\]}]")


def _said(found: re.Match[str], passage: Passage) -> str:
    return SIGNS[found[0]]


def _nothing(found: re.Match[str], passage: Passage) -> str:
    return ""


def _comma(found: re.Match[str], passage: Passage) -> str:
    return ","


def _is_touching(passage: Passage, place: int) -> bool:
    return not passage.character(place).isspace()


def _star(found: re.Match[str], passage: Passage) -> str:
    """A key of the telephone; a multiplication between numbers; else a mark of emphasis."""
    before, behind = passage.character(found.start() - 1), passage.character(found.end())
    if _is_between_numbers(found, passage):
        return "times"
    if before.isalpha() or behind.isalpha() or len(found[0]) > 1:
        return ""
    return "star"


def _is_between_numbers(found: re.Match[str], passage: Passage) -> bool:
    left = passage.text[max(0, found.start() - 3) : found.start()].rstrip()
    right = passage.text[found.end() : found.end() + 3].lstrip()
    return (
        left[-1:].isdecimal()
        and right[:1].isdecimal()
        and found[0] == "*"
        and "#" not in passage.text[found.end() : found.end() + 8]
    )


def _hash(found: re.Match[str], passage: Passage) -> str:
    """#5 is number five, #sale a hashtag, # alone the key."""
    behind = passage.character(found.end())
    before = passage.character(found.start() - 1)
    if len(found[0]) > 1:
        return ""
    if behind.isdecimal() and not (before.isdecimal() or before in "*#"):
        return "number"
    if behind.isalpha() and not before.isalnum():
        return "hashtag"
    return passage.english.hash_name


def _less(found: re.Match[str], passage: Passage) -> str:
    """Compares numbers; elsewhere a bracket."""
    behind = passage.text[found.end() : found.end() + 2].lstrip()
    before = passage.text[max(0, found.start() - 2) : found.start()].rstrip()
    is_compared = behind[:1].isalnum() or behind[:1] in "$€£-."
    if not is_compared or not (before[-1:].isalnum() or before == "" or behind[:1].isdecimal()):
        return ""
    return "less than" if found[0] == "<" else "greater than"


def _tilde(found: re.Match[str], passage: Passage) -> str:
    return (
        "about"
        if passage.character(found.end()).isdecimal() or passage.character(found.end()) in "$€£"
        else ""
    )


def _bracket(found: re.Match[str], passage: Passage) -> str:
    return ","


def _stroke(found: re.Match[str], passage: Passage) -> str:
    """Between words one of them, at other places itself."""
    before, behind = passage.character(found.start() - 1), passage.character(found.end())
    if before.isspace() and behind.isspace():
        return "divided by" if passage.written()[-1:].isdecimal() else ","
    return "slash"


def _dash(found: re.Match[str], passage: Passage) -> str:
    """A long dash, or several hyphens, is a pause."""
    return " —"


def _hyphen(found: re.Match[str], passage: Passage) -> str:
    """Between words nothing; alone a pause."""
    before, behind = passage.character(found.start() - 1), passage.character(found.end())
    if before.isspace() and behind.isspace():
        return " —"
    return ""


def _equals(found: re.Match[str], passage: Passage) -> str:
    return "equals" if found[0] == "=" else ""


def _plus(found: re.Match[str], passage: Passage) -> str:
    return "plus"


def _low_line(found: re.Match[str], passage: Passage) -> str:
    return ""


def _caret(found: re.Match[str], passage: Passage) -> str:
    return (
        "to the power of"
        if passage.character(found.end()).isalnum()
        and passage.character(found.start() - 1).isalnum()
        else ""
    )


def _dot(found: re.Match[str], passage: Passage) -> str:
    """Inside a word, as in node.js, it is said."""
    return "dot"


def _backslash(found: re.Match[str], passage: Passage) -> str:
    return "backslash" if _is_touching(passage, found.end()) else ""


_LONE: Final = "".join(SIGNS.keys() - set("$+=@&²³"))
RULES: Final[tuple[Rule, ...]] = (
    Rule("*", r"\*+", _star),
    Rule("#", r"#+", _hash),
    Rule("<>", r"[<>]=?(?![<>=])", _less),
    Rule("<>", r"[<>=]{2,}", _nothing),
    Rule("=", r"=+>?", _equals),
    Rule("-", r"-+>|-{2,}", _dash),
    Rule("–—", r"[–—]+", _dash),
    Rule("-−", r"[\-−]", _hyphen),
    Rule("+", r"\+{3,}", _nothing),
    Rule("+", r"\+", _plus),
    Rule("~", r"~+", _tilde),
    Rule("^", r"\^+", _caret),
    Rule("_", r"_+", _low_line),
    Rule("([{)]}|", r"[(\[{)\]}|]+", _bracket),
    Rule("/", r"/{2,}", _nothing),
    Rule("/", r"/", _stroke),
    Rule("\\", r"\\+", _backslash),
    Rule("&@", r"[&@]", _said),
    Rule("&@$€£¥%", r"([&@$€£¥%])\1+".replace(r"\1+", r"[&@$€£¥%]+"), _nothing),
    Rule(_LONE + "$²³", rf"[{re.escape(_LONE)}$²³]", _said),
    Rule('"', r'"+', _nothing),
    Rule(".", r"\.(?=[A-Za-z])", _dot),
)  # fmt: skip
