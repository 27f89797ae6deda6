"""How a voice breathes: where its sentences are cut, and how long it is silent there.

The network puts a third of a second of silence before whatever it says, and half a second behind it. Both are cut
off here; the silence that belongs to the sign at the end of a piece takes their place.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from waav.models.vad import Samples

SENTENCE_S: Final = 0.3
COMMA_S: Final = 0.17
_PAUSES_S: Final = {
    ".": SENTENCE_S, "!": SENTENCE_S, "?": SENTENCE_S, "…": 0.4, ";": 0.25, ":": 0.25, "—": 0.22, ",": COMMA_S,
}  # fmt: skip
_ELSEWHERE_S: Final = 0.05
"""Where only its length cut a clause."""

FIRST: Final = 100
LONGEST: Final = 160
"""Phonemes the network is given at once: few for a quick start, then as many as keep its memory small. It takes a
megabyte for every four of them and never gives it back; a hundred and sixty are nine seconds of speech."""

_CLAUSE_END: Final = re.compile(r"(?<=[,;:—…])[\"'”)]*\s+|\s+(?=—)")
_SIGNS: Final = "\"'”“() "

_FRAME_S: Final = 0.005
_BEGINS: Final = 0.004
_ENDS: Final = 0.002
"""Root mean square of a frame of sound. Breath before a word is left out, the fading of one kept."""
_TAIL_FRAMES: Final = 2
_FADE_S: Final = 0.002


class Breath(NamedTuple):
    """What is said in one go.

    Args:
        phonemes: with the sign that ends it.
        pause_s: silence behind it at the usual speed.
    """

    phonemes: str
    pause_s: float


def breaths(sentence: str, first: int = LONGEST) -> Iterator[Breath]:
    """The clauses of a sentence of phonemes; those that are too long in parts of about the same length.

    Args:
        first: most phonemes of the first breath.
    """
    limit = first
    for clause in _CLAUSE_END.split(sentence):
        rest = clause.strip()
        while rest:
            part, rest = _cut(rest, limit)
            if any(map(str.isalpha, part)):
                yield Breath(part, _pause_s(part))
                limit = LONGEST


def _cut(clause: str, limit: int) -> tuple[str, str]:
    """The first part of a clause, and the rest."""
    if len(clause) <= limit:
        return clause, ""
    # Of equal parts none is a single word that was left over.
    even = -(-len(clause) // -(-len(clause) // limit))
    cut = clause.rfind(" ", 1, even + 1)
    if cut < 0:
        cut = even
    return clause[:cut].rstrip(), clause[cut:].lstrip()


def _pause_s(part: str) -> float:
    return _PAUSES_S.get(part.rstrip(_SIGNS)[-1:], _ELSEWHERE_S)


def trimmed(samples: Samples, rate_hz: int) -> Samples:
    """The sound alone, without the silence before and behind it; nothing if all is silence.

    Args:
        samples: mono, -1 to 1.
    """
    frame = int(rate_hz * _FRAME_S)
    whole = samples[: len(samples) // frame * frame].reshape(-1, frame)
    level = np.sqrt(np.square(whole).mean(axis=1))
    loud = np.flatnonzero(level >= _BEGINS)
    if not len(loud):
        return samples[:0]
    last = int(np.flatnonzero(level >= _ENDS)[-1]) + 1 + _TAIL_FRAMES
    kept = samples[int(loud[0]) * frame : last * frame].copy()
    # Sound that begins or stops at once is heard as a click.
    fade = np.linspace(0.0, 1.0, max(1, int(rate_hz * _FADE_S)), dtype=np.float32)[: len(kept)]
    kept[: len(fade)] *= fade
    kept[len(kept) - len(fade) :] *= fade[::-1]
    return kept
