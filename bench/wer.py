"""Word error rate of the embedded recogniser on telephone prompts.

``python -m bench wer [HOW_MANY]`` (default 60, "all" for all 174). The prompts are Debian's
``asterisk-core-sounds-en-wav``: one human speaker, 8 kHz, with a list of what each says. They go through 8 kHz
mu-law, are resampled to 16 kHz and fed to the engine in 20 ms pieces, as a telephone call would.
"""

import argparse
import gzip
import json
import random
import re
import sys
import time
import wave
from dataclasses import dataclass
from pathlib import Path

from bench import sounds
from bench.figures import line as json_line
from bench.sessions import stamped
from waav.models import moonshine
from waav.models.vad import Rules
from waav.speech.audio import AudioFormat
from waav.speech.convert import Converter

TELEPHONE = AudioFormat("mulaw", 8000)
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
)
_SPELLED = {str(number): word for number, word in enumerate(_ONES.split())}
_SYMBOLS = {"*": " star ", "#": " pound ", "%": " percent ", "&": " and "}


@dataclass(frozen=True, slots=True)
class Prompt:
    """A recording and what it says."""

    path: Path
    text: str

    def samples(self) -> tuple[bytes, int]:
        """linear16 mono bytes and their rate."""
        with wave.open(str(self.path)) as recording:
            return recording.readframes(recording.getnframes()), recording.getframerate()

    def telephone(self) -> bytes:
        """The recording as 8 kHz mu-law."""
        data, rate_hz = self.samples()
        converter = Converter(AudioFormat("linear16", rate_hz), TELEPHONE)
        return converter.feed(data) + converter.finish()


def prompts() -> list[Prompt]:
    """Prompts of six words or more whose text names no sound effect."""
    found = []
    texts = (sounds.root() / sounds.TEXTS).read_bytes()
    for line in gzip.decompress(texts).decode().splitlines():
        name, colon, text = line.partition(":")
        path = sounds.root() / sounds.SOUNDS / f"{name.strip()}.wav"
        is_speech = colon and not name.startswith(";") and not re.search(r"[\[(]", text)
        if is_speech and len(text.split()) >= 6 and path.exists():
            found.append(Prompt(path, text.strip()))
    return found


def words(text: str) -> list[str]:
    """Lower case, digits and signs spelled out, punctuation dropped."""
    for symbol, word in _SYMBOLS.items():
        text = text.replace(symbol, word)
    kept = re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("’", "'"))
    plain = (word.strip("'") for word in kept.split())
    return [_SPELLED.get(word, word) for word in plain if word]


def errors(said: list[str], heard: list[str]) -> int:
    """Fewest insertions, deletions and substitutions that turn one into the other."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        above, row = row, [number]
        for column, other in enumerate(heard, 1):
            row.append(min(above[column] + 1, row[-1] + 1, above[column - 1] + (word != other)))
    return row[-1]


def recognise(model: moonshine.Model, telephone: bytes, rules: Rules = Rules()) -> list[str]:
    """The finals for a recording that ends without any silence."""
    engine = moonshine.local(rules).open(model)
    converter = Converter(TELEPHONE, AudioFormat())
    answers: list[str | bytes] = []
    for start in range(0, len(telephone), 160):
        answers += engine.feed(converter.feed(telephone[start : start + 160]))
    answers += engine.feed(converter.finish())
    answers += engine.feed('{"do": "finish"}')
    engine.close()
    events = [json.loads(answer) for answer in answers]
    return [event["text"] for event in events if event["kind"] == "final"]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("how_many", nargs="?", default="60", help="prompts, or all")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what went wrong")


def main(options: argparse.Namespace) -> None:
    """``wer``."""
    chosen = prompts()
    if options.how_many != "all":
        chosen = random.Random(1).sample(chosen, int(options.how_many))
    model = moonshine.Moonshine()
    wrong = count = 0
    spent_s = audio_s = 0.0
    for prompt in chosen:
        audio = prompt.telephone()
        began = time.perf_counter()
        heard = words(" ".join(recognise(model, audio)))
        spent_s += time.perf_counter() - began
        audio_s += len(audio) / 8000
        said = words(prompt.text)
        mistakes = errors(said, heard)
        wrong += mistakes
        count += len(said)
        if options.verbose and mistakes > 1:
            print(
                f"{mistakes} {prompt.path.stem}: {prompt.text}\n    {' '.join(heard)}",
                file=sys.stderr,
            )
    figures = {
        "prompts": len(chosen), "words": count, "wrong": wrong, "audio_s": round(audio_s),
        "word_error_rate_percent": round(100 * wrong / count, 1),
        "real_time_factor": round(spent_s / audio_s, 3),
    }  # fmt: skip
    print(json_line(stamped("wer", figures)))
