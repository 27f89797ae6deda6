"""Text on its way to a voice: pronunciations, and pieces a vendor accepts."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

# Markup that must stay as it is: SSML and the like, and Deepgram's \{...\}. No part of it can run on over the
# beginning of another, so that text full of beginnings is still read in linear time.
_TAG: Final = (
    r"<!--(?:(?!<!--).)*?-->"
    r"|</?[A-Za-z][\w:.-]*(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'))*\s*/?>"
    r"|\\\{[^\\{}]*\\\}"
)


class Pronunciation(NamedTuple):
    """What should be said for a word.

    Args:
        word: one or several, found as whole words.
        said: in its place.
        is_exact: only where it is written with the same capitals.
    """

    word: str
    said: str
    is_exact: bool = False


def pronounce(text: str, rules: Iterable[Pronunciation]) -> str:
    """``text`` with words replaced by what should be said for them. To be applied exactly once.

    Whole words only, longest first, in capitals or not unless a rule is exact; what was put in is never replaced
    again and means itself, ``$1`` and ``\\1`` included. Inside tags nothing is replaced. Of two rules for one word the
    one with the very capitals counts, then the first.

    Args:
        text: plain text or SSML.
    """
    exact: dict[str, str] = {}
    folded: dict[str, str] = {}
    for rule in rules:
        if rule.word:
            exact.setdefault(rule.word, rule.said)
            if not rule.is_exact:
                folded.setdefault(rule.word.lower(), rule.said)
    if not exact:
        return text
    words = sorted(exact, key=len, reverse=True)
    # The look at one character spares most places the comparison with every word.
    begins = re.escape("".join(sorted({word[0] for word in words}))) + r"<\\"
    any_word = "|".join(map(re.escape, words))
    pattern = re.compile(f"(?=[{begins}])(?:({_TAG})|{any_word})", re.DOTALL | re.IGNORECASE)
    pieces, done, place = [], 0, 0
    while found := pattern.search(text, place):
        place = found.end()
        if found[1] is not None:
            continue
        start = found.start()
        for word in words:
            end = start + len(word)
            written = text[start:end]
            said = exact.get(written, folded.get(written.lower()))
            if said is not None and len(written) == len(word) and _is_whole(text, start, end):
                pieces += [text[done:start], said]
                done = place = end
                break
        else:
            place = start + 1
    return "".join((*pieces, text[done:]))


def split(text: str, limit: int, in_bytes: bool = False) -> list[str]:
    """Pieces of at most ``limit`` characters (``in_bytes``: UTF-8 bytes), in order, without blank ones.

    Cut after a sentence if one ends in reach, else after a clause, else at a space, else anywhere but inside what
    is seen as one character. One such character alone may exceed the limit.
    """
    if limit < 1:
        raise ValueError(f"a limit of {limit} leaves no room for text")
    pieces = []
    rest = text.strip()
    while rest:
        reach = _reach(rest, limit, in_bytes)
        end = len(rest) if reach >= len(rest) else _best_cut(rest, reach)
        pieces.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return pieces


def settled(text: str, looked_at: int = 0) -> int:
    """Up to where ``text`` consists of sentences that have certainly ended, whatever is added to it; 0: of none.

    A full stop ends a sentence when what follows shows it: after "3." there may come "14", after "Dr." a name. That is
    known when white space and the beginning of something else stand behind it.

    Args:
        looked_at: up to where an earlier look at the same text found no end.
    """
    start = max(0, looked_at - _SETTLE_AGAIN)
    ends = [found.end() for found in _SENTENCE.finditer(text, start)]
    for end in reversed(ends):
        next_word = _NEXT.match(text, end)
        if next_word is None:
            continue
        if _is_sentence_end(text[:end]) and not _goes_on(text[:end], next_word[1]):
            return next_word.start(1)
    return 0


def is_speakable(text: str) -> bool:
    """Whether anything of it can be said: a letter, a digit, or a sign that people read out. Emoji and the marks of
    markdown are nothing to a voice."""
    return any(
        character in _READ_OUT or unicodedata.category(character)[0] in "LN" for character in text
    )


def is_fragment(text: str) -> bool:
    """Whether it looks like no more than one word of something longer: no space inside, no end."""
    word = text.strip()
    return len(word.split()) < 2 and not word.endswith(_ENDS)


def shorten(text: str, limit: int) -> str:
    """The first ``limit`` characters, never half of one."""
    if len(text) <= limit:
        return text
    return text[: _whole_characters(text, limit)]


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether what stands there is not a part of a longer word."""
    if start and _is_of_word(text[start]) and _is_of_word(text[start - 1]):
        return False
    return end == len(text) or not (_is_of_word(text[end - 1]) and _is_of_word(text[end]))


def _is_of_word(character: str) -> bool:
    """Letters, digits, and the accents and vowel signs that belong to letters."""
    return character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M"


_CLOSE_MARKS: Final = "\"'”’»)]」』）"
_CLOSING: Final = "\"'”’»)\\]」』）"
# A run of full stops is looked at once, from its beginning: text of nothing else takes linear time too.
_SENTENCE = re.compile(
    rf"(?:(?<![.!?…؟।])[.!?…؟।]++[{_CLOSING}]*+(?=\s)|[。！？]+[{_CLOSING}]*|\n\s*\n)"
)
_CLAUSE = re.compile(rf"(?:[,;:—–،][{_CLOSING}]*(?=\s)|[、，；：][{_CLOSING}]*|\n)")
_SPACE = re.compile(r"\s+")
_READ_OUT: Final = frozenset("$€£¥₹%&+@§°")
_ENDS: Final = tuple(".!?…。！？؟।:;")
_NEXT: Final = re.compile(r"\s*(\S)")
_SETTLE_AGAIN: Final = 64
"""Characters that are looked at again when text was added: no mark with what shows its meaning is longer."""

_INITIALS: Final = re.compile(r"(?:^|[\s(\"'“‘])(?:[A-Za-z]\.)+$")
_NUMBERED: Final = frozenset(
    {"no", "nr", "nos", "p", "pp", "art", "fig", "ch", "vol", "sec", "ext"}
)
_ABBREVIATIONS: Final = frozenset(
    {
        "dr",
        "mr",
        "mrs",
        "ms",
        "prof",
        "st",
        "vs",
        "e.g",
        "i.e",
        "z.b",
        "bzw",
        "nr",
        "sr",
        "sra",
        "jr",
    }
)


def _reach(text: str, limit: int, in_bytes: bool) -> int:
    """How many characters of ``text`` fit."""
    if not in_bytes:
        return limit
    used = 0
    for position, character in enumerate(text):
        used += len(character.encode("utf-8", "surrogatepass"))
        if used > limit:
            return position
    return len(text)


def _best_cut(text: str, reach: int) -> int:
    # One character more, so that a full stop which just fits is seen to end its sentence.
    window = text[: reach + 1]
    return (
        _last_end(_SENTENCE, window, reach, _is_sentence_end)
        or _last_end(_CLAUSE, window, reach)
        or _last_end(_SPACE, window, reach + 1)
        or _whole_characters(text, reach)
    )


def _last_end(
    pattern: re.Pattern[str],
    window: str,
    reach: int,
    is_real: Callable[[str], bool] = lambda before: True,
) -> int:
    ends = [found.end() for found in pattern.finditer(window) if found.end() <= reach]
    return next(
        (
            end
            for end in reversed(ends)
            if is_real(window[:end]) and not (end < len(window) and _is_joined(window, end))
        ),
        0,
    )


def _goes_on(before: str, following: str) -> bool:
    """Whether the sentence goes on behind a full stop, by what follows: "e.g. so", "U.S. Army", "No. 5"."""
    if following.islower():
        return before.rstrip(_CLOSE_MARKS).endswith(".")
    if _INITIALS.search(before[-16:]):
        return True
    words = before[-12:].split()
    last = words[-1][:-1].lower() if words and words[-1].endswith(".") else ""
    return following.isdigit() and last in _NUMBERED


def _is_sentence_end(before: str) -> bool:
    """Whether the full stop at the end is one, and not that of "Dr."."""
    words = before[-12:].split()
    last = words[-1] if words else ""
    return not last.endswith(".") or last[:-1].lower() not in _ABBREVIATIONS


def _whole_characters(text: str, limit: int) -> int:
    """The last place at or before ``limit`` between two characters as people see them, else the first after it."""
    for place in range(min(limit, len(text) - 1), 0, -1):
        if not _is_joined(text, place):
            return place
    place = max(limit, 1)
    while place < len(text) and _is_joined(text, place):
        place += 1
    return place


_JOINER: Final = "\u200d"


def _is_joined(text: str, place: int) -> bool:
    """Whether the characters left and right of ``place`` are seen as one."""
    left, right = text[place - 1], text[place]
    code = ord(right)
    if unicodedata.category(right)[0] == "M" or _JOINER in (left, right):
        return True
    if 0x1F3FB <= code <= 0x1F3FF or 0xE0020 <= code <= 0xE007F:  # skin tones, flag tags
        return True
    if 0xD800 <= ord(left) <= 0xDBFF and 0xDC00 <= code <= 0xDFFF:  # halves of a surrogate pair
        return True
    if 0x1160 <= code <= 0x11FF and 0x1100 <= ord(left) <= 0x11FF:  # Korean letters of a syllable
        return True
    if left == "\r" and right == "\n":
        return True
    return _is_flag_letter(left) and _is_flag_letter(right) and _flag_letters(text, place) % 2 == 1


def _is_flag_letter(character: str) -> bool:
    return 0x1F1E6 <= ord(character) <= 0x1F1FF


def _flag_letters(text: str, place: int) -> int:
    """Flag letters directly before ``place``; two of them make one flag."""
    count = 0
    while count < place and _is_flag_letter(text[place - 1 - count]):
        count += 1
    return count
