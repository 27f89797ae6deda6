"""Where calls write down what happens in them, for figures of the whole process."""

from typing import Final

SPEAKING: Final = frozenset(
    {"utterances", "characters", "cleared", "clears_refused", "late", "spoken_s"}
)
"""Names of counts that are about synthesis; the others are about recognition."""


class Ledger:
    """Keeps nothing; those who want figures override what they want to know.

    Written to when something happens, never for a frame. Names of providers are those of the registry, names of
    counts those of ``waav.session.summary.Figures``; there is nothing of a caller in it.
    """

    def configured(self, listener: str, speaker: str) -> None:
        """A config came into force; names of its providers, ``nobody`` for a half that it does not have."""

    def ended(self, seconds: float) -> None:
        """A call that was configured at least once is over; it took that long."""

    def count(self, provider: str, name: str, number: float) -> None:
        """``number`` more of ``name``; also ``heard_s`` and ``spoken_s``, seconds of audio."""

    def error(self, provider: str, half: str, code: str) -> None:
        """A provider failed; ``half`` is ``stt`` or ``tts``, ``code`` that of the WaavError."""

    def took(self, provider: str, name: str, seconds: float) -> None:
        """``first_result``: from the first audio of a config to the first text that was recognised.
        ``first_audio``: from asking for an utterance to its first audio."""
