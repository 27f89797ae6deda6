"""How the embedded voice reads what is not written in words: by phonemes, and by what the embedded ears hear of it.

``python -m bench reading`` prints the table; ``--ears`` also has the voice say every text with digits in it and the
recogniser write it down. Texts and what a person reads for them are in ``bench/reading.tsv``.
"""

import argparse
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.figures import line as json_line
from bench.sessions import stamped
from waav.speech.reading.aloud import aloud

TABLE = Path(__file__).with_name("reading.tsv")
Phonemes = Callable[[str], str]

_NO_SOUND = re.compile(r"[^\w]|[ˈˌ]")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")


class Row(NamedTuple):
    """A text and the words that a person says for it; full stops only between sentences."""

    kind: str
    text: str
    said: str


def rows(table: Path = TABLE) -> list[Row]:
    """The table, line breaks of texts as such."""
    _, *lines = table.read_text("utf-8").splitlines()
    return [
        Row(kind, text.replace("\\n", "\n"), said)
        for kind, text, said in (line.split("\t") for line in lines)
    ]


def words(text: str) -> str:
    """What the normaliser makes of a text, pauses left out."""
    return " ".join(part for part in aloud(text) if isinstance(part, str))


def sounds(said: str, phonemes: Phonemes) -> list[str]:
    """The phonemes of each sentence, without stress and signs."""
    sentences = (_NO_SOUND.sub("", phonemes(one)) for one in _SENTENCE_END.split(said))
    return [sentence for sentence in sentences if sentence]


def wrong(table: list[Row], phonemes: Phonemes) -> Iterator[tuple[Row, str]]:
    """The rows that are not read as a person reads them, and how they are."""
    for row in table:
        said = words(row.text)
        if sounds(said, phonemes) != sounds(row.said, phonemes):
            yield row, said


_NUMBER_WORD = re.compile(
    r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen"
    r"|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|billion|trillion"
    r"|first|second|third|fifth|eighth|ninth|twelfth|(?:four|six|seven|ten|eleven|\w+teen|twentie|thirtie)th)"
)


def numbers(text: str) -> list[str]:
    """The words of numbers that are said for a text, in order: for digits that stand alone, their names."""
    said = re.findall(r"[a-z]+", words(text).lower())
    return ["zero" if word == "oh" else word for word in said if _NUMBER_WORD.fullmatch(word)]


_NAMED = {
    word: str(value)
    for value, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
    )
} | {"oh": "0", "o": "0"}  # fmt: skip
_NAME = re.compile(rf"\b(?:{'|'.join(_NAMED)})\b")


def digits(text: str) -> list[str]:
    """The digits of a text in their order, whether they are written or named."""
    return re.findall(r"\d", _NAME.sub(lambda found: _NAMED[found[0]], text.lower()))


def survived(said: list[str], heard: list[str]) -> int:
    """How many of the words are heard in the same order: the longest common subsequence."""
    row = [0] * (len(heard) + 1)
    for word in said:
        before, row = row, [0]
        for place, other in enumerate(heard):
            row.append(before[place] + 1 if word == other else max(before[place + 1], row[-1]))
    return row[-1]


def heard_by_the_ears(table: list[Row]) -> Iterator[tuple[Row, str]]:
    """What the embedded recogniser writes down of what the embedded voice says."""
    import json

    from bench.wer import recognise
    from waav.models import hibari, moonshine
    from waav.speech.audio import AudioFormat
    from waav.speech.convert import Converter

    voice, ears = hibari.Hibari(), moonshine.Moonshine()
    for row in table:
        asked = json.dumps({"text": row.text, "speed": 1.0, "language": "en-US"})
        answer = hibari.Speaking(voice).feed(asked)
        sound = b"".join(piece for piece in answer if isinstance(piece, bytes))
        converter = Converter(AudioFormat("linear16", hibari.RATE_HZ), AudioFormat("mulaw", 8000))
        yield row, " ".join(recognise(ears, converter.feed(sound) + converter.finish()))


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ears", action="store_true", help="also say and recognise the digits")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show every text and what is said"
    )


def main(options: argparse.Namespace) -> None:
    """``reading``."""
    from waav.models.hibari import Hibari

    voice = Hibari()
    table = rows()
    failed = {row.text: said for row, said in wrong(table, voice.phonemes)}
    if options.verbose:
        for row in table:
            print(
                f"{'WRONG' if row.text in failed else 'right'} {row.kind}: {row.text!r} -> {words(row.text)}"
            )
    totals, bad = (
        Counter(row.kind for row in table),
        Counter(row.kind for row in table if row.text in failed),
    )
    for kind, total in totals.items():
        print(f"{kind:20}{total - bad[kind]:4} of {total}")
    figures: dict[str, Any] = {"texts": len(table), "right_by_phonemes": len(table) - len(failed)}
    if options.ears:
        figures |= _ears(table, options.verbose)
    print(json_line(stamped("reading", figures)))


BY_NAME = ("telephone", "code", "emergency")
"""Kinds in which every digit is said by its name."""


def _ears(table: list[Row], is_verbose: bool) -> dict[str, Any]:
    said: Counter[bool] = Counter()
    kept: Counter[bool] = Counter()
    for row, heard in heard_by_the_ears([row for row in table if re.search(r"\d", row.text)]):
        are_digits = row.kind in BY_NAME
        count = digits if are_digits else numbers
        written = count(row.text)
        same = survived(written, count(heard))
        said[are_digits] += len(written)
        kept[are_digits] += same
        if is_verbose and same < len(written):
            print(f"HEARD {row.text!r} as {heard!r}: {same} of {len(written)}")
    return {
        "digits": said[True], "digits_heard": kept[True],
        "digits_percent": round(100 * kept[True] / said[True], 1),
        "number_words": said.total(), "number_words_heard": kept.total(),
        "number_words_percent": round(100 * kept.total() / said.total(), 1),
    }  # fmt: skip
