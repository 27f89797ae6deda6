"""Where a call puts what it has to say."""

from typing import Final, Protocol

from waav.speech.wire import Transcript


class Outlet(Protocol):
    """Where a call's results go: the caller's connection."""

    def transcript(self, transcript: Transcript) -> None:
        """Recognised text, in order."""

    def audio(self, frames: list[bytes]) -> None:
        """Some speech in the format of ``Speaking.settings.format``, in frames of 10 ms where it is raw."""

    def spoken_all(self) -> None:
        """One ``speak`` is complete: everything it had was handed over."""

    def error(self, message: str, code: str) -> None:
        """Something went wrong; the call goes on."""

    def congested(self, is_full: bool) -> None:
        """True: the vendor side cannot take more of the caller's audio, stop reading from the caller."""


class _Nobody:
    """Whoever listened is gone."""

    def transcript(self, transcript: Transcript) -> None:
        pass

    def audio(self, frames: list[bytes]) -> None:
        pass

    def spoken_all(self) -> None:
        pass

    def error(self, message: str, code: str) -> None:
        pass

    def congested(self, is_full: bool) -> None:
        pass


NOBODY: Final[Outlet] = _Nobody()
"""Takes the place of a caller's connection when his session is over."""
