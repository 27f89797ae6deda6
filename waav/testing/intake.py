"""What a vendor takes of a client's audio: which frames end the conversation, and how fast the rest is read.

``audio`` in the rules of a socket has

``refuses``          a list of what cannot be decoded: ``empty`` frames, ``unaligned`` ones that end within a sample,
                     ``json`` (a message sent as audio), a ``container`` under the name of a raw encoding, and
                     ``headless``: no encoding was named, and what comes is in no container either
``max_frame_bytes``  with ``big_close``, code and reason: larger frames end the conversation
``speed``            with ``burst_s``: how many times faster than it plays audio is read in the long run. Only what is
                     further ahead than the burst waits, and is not lost: the vendor reads later.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from waav.speech.audio import AudioFormat

Close = tuple[int, str]
Framing = Literal["raw", "compressed", "container"]

_BEGINNING_BYTES = 12
# Samples may begin with any byte, so only beginnings too long for chance count as a container sent by mistake.
_CONTAINER = re.compile(rb"RIFF....WAVE|OggS|fLaC|\x1aE\xdf\xa3|....ftyp", re.DOTALL)
_SELF_DESCRIBED = re.compile(_CONTAINER.pattern + rb"|ID3|#!AMR|\xff[\xe0-\xff]", re.DOTALL)


class AudioIntake:
    """Looks at the frames of one connection.

    Args:
        about: ``audio`` of the rules.
        bad_close: code and reason for what cannot be decoded.
        audio: format of raw audio.
        framing: how the handshake announced the audio; ``container`` when it named no encoding.
    """

    def __init__(
        self, about: Mapping[str, Any], bad_close: Close, audio: AudioFormat, framing: Framing
    ) -> None:
        self._refuses = frozenset(about.get("refuses", ()))
        self._bad_close = bad_close
        self._max_bytes = about.get("max_frame_bytes")
        self._big_close: Close = tuple(about.get("big_close", bad_close))
        self._speed = about.get("speed")
        self._burst_s = about.get("burst_s", 0.0)
        self._audio = audio
        self._framing = framing
        is_sampled = framing == "raw" and "unaligned" in self._refuses
        self._sample_bytes = audio.frame_bytes if is_sampled else 1
        self._beginning: bytes | None = b""

    def objection(self, payload: bytes) -> Close | None:
        """How this frame ends the conversation, or None."""
        if self._max_bytes is not None and len(payload) > self._max_bytes:
            return self._big_close
        is_bad = (
            (not payload and "empty" in self._refuses)
            or len(payload) % self._sample_bytes
            or ("json" in self._refuses and _is_message(payload))
            or (self._beginning is not None and self._is_bad_beginning(payload))
        )
        return self._bad_close if is_bad else None

    def ahead_s(self, received_s: float, elapsed_s: float) -> float:
        """How long to read nothing, when so much audio came in so much time; 0 or less: read on."""
        if self._speed is None:
            return 0.0
        return float((received_s - self._burst_s) / self._speed - elapsed_s)

    def free_s(self, elapsed_s: float) -> float:
        """Up to how much audio nothing has to wait, after so much time."""
        if self._speed is None:
            return float("inf")
        return float(self._burst_s + self._speed * elapsed_s)

    def _is_bad_beginning(self, payload: bytes) -> bool:
        self._beginning = (self._beginning or b"") + payload
        if len(self._beginning) < _BEGINNING_BYTES:
            return False
        beginning, self._beginning = self._beginning, None
        if self._framing == "raw":
            return "container" in self._refuses and bool(_CONTAINER.match(beginning))
        if self._framing == "container":
            return "headless" in self._refuses and not _SELF_DESCRIBED.match(beginning)
        return False


def _is_message(payload: bytes) -> bool:
    """Whether audio is really text sent the wrong way: samples, too, may begin with a brace."""
    if not payload.startswith(b"{"):
        return False
    try:
        return "type" in json.loads(payload)
    except ValueError:
        return False
