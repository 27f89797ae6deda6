"""A text on its way to being read: the rules that apply at a place, what was seen so far, what is said for it.

A rule is a pattern and what is said for what it matches. Patterns are tried only where a word or sign begins, in the
order of the rules, and what one has matched is never looked at again. No pattern of ours can run on without bound
unless it then wins, so reading takes time in proportion to the text's length, whatever it is.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from waav.speech.reading.vocabulary import BEGINNERS, NO_BEGINNERS

DIGIT: Final = "9"
LETTER: Final = "a"
"""What a rule may begin with, besides single signs."""

_NO_SPACE_BEFORE: Final = frozenset(",.;:!?…'")
_REMEMBERED: Final = 8
_LONGEST_REMEMBERED: Final = 40
_GROUP: Final = 8
"""Rules that are tried by one pattern. Behind one that declines, the others of its group are tried one by one."""

_FOLLOWING: Final = re.compile(r"[ \"')\]]*(?:(\n)|([^\s\"'()\].,;:!?]+))")


@dataclass(frozen=True, slots=True)
class English:
    """How English is read in a country.

    Args:
        is_day_first: 3/4/2025 is the third of April.
        says_and: "two hundred and five".
        hash_name: what the key # is called.
    """

    is_day_first: bool = False
    says_and: bool = False
    hash_name: str = "pound"


class Passage:
    """The text, and what is said for it as far as it was read.

    Attributes:
        text: what is read.
        heard: the last words of this sentence as they are written, the last one last.
        length: characters said since ``take``.
        is_over: whether a sentence has ended since.
    """

    def __init__(self, text: str, english: English) -> None:
        self.text = text
        self.english = english
        self.heard: deque[str] = deque(maxlen=_REMEMBERED)
        self._said: list[str] = []
        self._last = " "  # character
        self.length = 0
        self.is_over = False
        self._is_apart = True  # whether a space must come before the next word

    def word(self, ago: int = 1) -> str:
        """The word before this place in lower case; ``ago`` 2: the one before that. Empty where there is none."""
        return self.heard[-ago].lower() if len(self.heard) >= ago else ""

    def written(self, ago: int = 1) -> str:
        """The same, as it is written."""
        return self.heard[-ago] if len(self.heard) >= ago else ""

    def character(self, place: int) -> str:
        """The character there; a space outside the text."""
        return self.text[place] if 0 <= place < len(self.text) else " "

    def say(self, words: str) -> None:
        """Say words that stand for something; they touch nothing."""
        self._put(words, is_apart=True)
        self._is_apart = True

    def copy(self, written: str) -> None:
        """Say what is written."""
        self._put(written, is_apart=self._is_apart)
        self._is_apart = False

    def note(self, word: str) -> None:
        """Remember a word of this sentence."""
        self.heard.append(word[-_LONGEST_REMEMBERED:])

    def end_sentence(self) -> None:
        """What comes is another sentence."""
        self.heard.clear()
        self.is_over = True

    def ends_sentence(self, place: int, is_likely: bool = False) -> bool:
        """Whether a sentence ends with the full stop of an abbreviation before ``place``.

        Args:
            is_likely: any capital begins another sentence, but for those that go with times of day. Otherwise only
                a word does that hardly ever stands inside one with a capital.
        """
        if self.character(place) in ",;:?!-":
            return False
        following = _FOLLOWING.match(self.text, place)
        if following is None or following[1]:
            return True
        word = following[2]
        return word in BEGINNERS or (is_likely and word[0].isupper() and word not in NO_BEGINNERS)

    def closed(self, words: str, found: re.Match[str], is_likely: bool = False) -> str:
        """``words`` with the full stop that was both an abbreviation's and the sentence's."""
        if not found[0].endswith(".") or not self.ends_sentence(found.end(), is_likely):
            return words
        self.end_sentence()
        return words + "."

    def take(self) -> str:
        """What was said since the last time."""
        said = "".join(self._said)
        self._said.clear()
        self._last = " "
        self.length = 0
        self.is_over = False
        return said

    def _put(self, words: str, is_apart: bool) -> None:
        if not words:
            return
        if is_apart and not self._last.isspace() and words[0] not in _NO_SPACE_BEFORE:
            self._said.append(" ")
        self._said.append(words)
        self.length += len(words)
        self._last = words[-1]


Read = Callable[[re.Match[str], Passage], str | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is said where a pattern matches.

    Args:
        begins: ``DIGIT``, ``LETTER`` and single signs: the only characters the pattern begins with.
        pattern: no named groups, no references to groups.
        read: returns the words; None if the rule does not apply after all.
        ignores_case: whether capitals are as good as others.
    """

    begins: str
    pattern: str
    read: Read
    ignores_case: bool = False


class Rules:
    """Rules in their order. Their patterns are compiled when the first text is read, or by ``prepare``: most programs
    that know of the voice never read anything."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        by_begin: dict[str, list[Rule]] = {}
        for one in rules:
            for begin in one.begins:
                by_begin.setdefault(begin, []).append(one)
        self._groups = {
            begin: [_Group(rules[start : start + _GROUP]) for start in range(0, len(rules), _GROUP)]
            for begin, rules in by_begin.items()
        }

    def prepare(self) -> None:
        """Compile all patterns: about a tenth of a second."""
        for groups in self._groups.values():
            for group in groups:
                group.patterns()

    def apply(self, passage: Passage, place: int) -> int:
        """Say what is at ``place`` by the first rule that applies; returns where it ends, or ``place``."""
        character = passage.text[place]
        kind = DIGIT if character.isdecimal() else LETTER if character.isalpha() else character
        for group in self._groups.get(kind, ()):
            end = group.apply(passage, place)
            if end > place:
                return end
        return place


class _Group:
    """A few rules of which one pattern finds the first that matches, sooner than one after the other."""

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = rules
        self._patterns: tuple[re.Pattern[str], list[re.Pattern[str]]] | None = None

    def patterns(self) -> tuple[re.Pattern[str], list[re.Pattern[str]]]:
        """That of all, in which the number of the rule is the name of its group, and that of each."""
        if self._patterns is None:
            each = [f"(?{'i' if one.ignores_case else ''}:{one.pattern})" for one in self._rules]
            any_of_them = "|".join(
                f"(?P<r{number}>{pattern})" for number, pattern in enumerate(each)
            )
            self._patterns = re.compile(any_of_them), [re.compile(pattern) for pattern in each]
        return self._patterns

    def apply(self, passage: Passage, place: int) -> int:
        any_of_them, each = self.patterns()
        first = any_of_them.match(passage.text, place)
        if first is None:
            return place
        begin = int(str(first.lastgroup)[1:])
        for one, pattern in zip(self._rules[begin:], each[begin:], strict=True):
            found = pattern.match(passage.text, place)
            if found is None:
                continue
            words = one.read(found, passage)
            if words is not None and found.end() > place:
                passage.say(words)
                passage.note(found[0])
                return found.end()
        return place
