"""E-mail addresses, web addresses, file names and paths: "at", "dot", "slash"."""

import re
from typing import Final

from waav.speech.reading import numerals
from waav.speech.reading.digits import spell
from waav.speech.reading.passage import DIGIT, LETTER, Passage, Rule
from waav.speech.reading.vocabulary import DOMAIN_WORDS, ENDINGS, FILES, SPELLED_ENDINGS

_SIGNS: Final = {
    "@": "at",
    ".": "dot",
    "/": "slash",
    "-": "dash",
    "_": "underscore",
    "+": "plus",
    ":": "colon",
    "?": "question mark",
    "&": "and",
    "=": "equals",
    "#": "hash",
    "%": "percent",
    "~": "tilde",
    "\\": "backslash",
    "*": "star",
    "!": "exclamation mark",
    "$": "dollar",
    ",": "comma",
    ";": "semicolon",
}
_PIECE: Final = re.compile(r"[A-Za-z]+|\d+|[^\W\d_]+|[^\w\s]|_")
_TAIL: Final = ".,;:!?'\"”’)]}>…*_`"
_SCHEME: Final = re.compile(r"(?:https?|ftps?|wss?)://|mailto:|tel:|sips?:", re.IGNORECASE)
_KNOWN: Final = {
    "www": "W.W.W",
    "gmail": "gmail",
    "faq": "F.A.Q",
    "api": "A.P.I",
    "id": "I.D",
    "ip": "I.P",
    "ai": "A.I",
    "tv": "T.V",
    "uk": "U.K",
    "eu": "E.U",
    "etc": "et cetera",
    "http": "H.T.T.P",
    "https": "H.T.T.P.S",
}
_LONGEST_SPELLED: Final = 4


def spoken(address: str) -> str:
    """An address, sign by sign."""
    address = _SCHEME.sub("", address, count=1).rstrip("/")
    pieces = _PIECE.findall(address)
    said = []
    for number, piece in enumerate(pieces):
        before = pieces[number - 1] if number else ""
        if piece.isdecimal():
            said.append(_number(piece))
        elif not piece[0].isalpha():
            said.append(_SIGNS.get(piece, ""))
        elif before == "." and piece.lower() in SPELLED_ENDINGS:
            said.append(".".join(piece.upper()) if len(piece) > 1 else piece)
        else:
            said.append(_word(piece))
    return " ".join(filter(None, said))


def _number(digits: str) -> str:
    """Two digits are a number, a year is one; others are read one by one."""
    if len(digits) <= 2 and digits[0] != "0":
        return numerals.cardinal(digits)
    if len(digits) == 4 and digits[:2] in ("19", "20"):
        return numerals.year(digits)
    return numerals.digits(digits)


def _word(piece: str) -> str:
    """A word where it can be one, else its letters."""
    small = piece.lower()
    if small in _KNOWN:
        return _KNOWN[small]
    if small in DOMAIN_WORDS:
        return small
    if not piece.isupper() and piece[1:] != piece[1:].lower() and len(piece) <= _LONGEST_SPELLED:
        return spell(piece)
    if len(small) == 1 or not re.search("[aeiouyà-ÿ]", small):
        return spell(small)
    if piece.isupper() and len(piece) <= _LONGEST_SPELLED:
        return ".".join(piece)
    return small


def _address(found: re.Match[str], passage: Passage) -> str:
    """What stands behind the address is none of it: the end of a sentence, a bracket."""
    text = found[0]
    core = text.rstrip(_TAIL)
    tail = text[len(core) :]
    signs = "".join(sign for sign in tail if sign in ".,;:!?")[:1]
    if signs in (".", "!", "?"):
        passage.end_sentence()
    return spoken(core) + signs


def _plain(found: re.Match[str], passage: Passage) -> str:
    return spoken(found[0])


def _path(found: re.Match[str], passage: Passage) -> str | None:
    core = found[0].rstrip(_TAIL)
    if core.count("/") < 2 and "." not in core and not core.startswith("~/"):
        return None
    tail = "".join(sign for sign in found[0][len(core) :] if sign in ".,;:!?")[:1]
    return spoken(core) + tail


def _at_name(found: re.Match[str], passage: Passage) -> str:
    return spoken(found[0])


def _internet(found: re.Match[str], passage: Passage) -> str | None:
    """192.168.0.1, with a port or a mask."""
    if any(int(part) > 255 for part in found.groups()[:4]):
        return None
    said = " dot ".join(numerals.digits(part) for part in found.groups()[:4])
    if found[5]:
        said += f" colon {numerals.digits(found[5])}"
    if found[6]:
        said += f" slash {numerals.cardinal(found[6])}"
    return said


_ENDING: Final = rf"(?:{'|'.join(sorted(ENDINGS, key=len, reverse=True))})"
RULES: Final[tuple[Rule, ...]] = (
    Rule(LETTER, r"(?:https?|ftps?|wss?)://[^\s<>\"]{1,2000}|(?:mailto|sips?):[^\s<>\"]{1,2000}", _address, ignores_case=True),
    Rule(LETTER + DIGIT + "_", r"[\w.+%'\-]{1,64}@[\w\-]{1,63}(?:\.[\w\-]{1,63}){1,8}", _plain),
    Rule(LETTER, r"www\.[^\s<>\"]{1,2000}", _address, ignores_case=True),
    Rule(
        LETTER + DIGIT,
        rf"(?:[a-z0-9](?:[a-z0-9\-]{{0,62}})\.){{1,5}}{_ENDING}(?![\w\-])(?!\.\w)(?:[:/?#][^\s<>\"]{{0,2000}})?",
        _address,
    ),
    Rule(
        LETTER + DIGIT,
        r"(?:[A-Za-z0-9][A-Za-z0-9\-]{0,62}\.){1,5}(?:com|org|net|edu|gov|io)(?![\w\-])(?!\.\w)(?:[:/?#][^\s<>\"]{0,2000})?",
        _address,
    ),
    Rule(LETTER + DIGIT + "_", rf"[\w\-]{{1,64}}(?:\.[\w\-]{{1,32}}){{0,3}}\.(?:{'|'.join(FILES)})(?!\w)(?!\.\w)", _plain, ignores_case=True),
    Rule(LETTER, r"[A-Z]:\\[^\s<>\"]{0,1000}", _address),
    Rule("/~", r"~?/[A-Za-z0-9_.\-]{1,100}(?:/[^\s<>\"/]{0,100}){0,30}", _path),
    Rule("@", r"@[A-Za-z0-9_](?:[\w.\-]{0,60}\w)?", _at_name),
    Rule(DIGIT, r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?::(\d{1,5}))?(?:/(\d{1,2}))?(?![\w])(?!\.\d)", _internet),
)  # fmt: skip
