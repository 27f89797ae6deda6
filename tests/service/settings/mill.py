"""A provider with a model of its own that a test can hold still: it runs where the gateway's models run."""

import os
import struct
import threading
from collections.abc import Iterator

from waav.speech import wire
from waav.speech.audio import AudioFormat, AudioFrame
from waav.speech.provider import Account, Provider, SpeakSettings

FORMAT = AudioFormat(rate_hz=24000)


class Mill:
    """What the models of one test do.

    Args:
        together: so many texts must be in the model at the same time before any of them is spoken.

    Attributes:
        inside: how many texts are being spoken.
        is_open: set when they may go on.
    """

    def __init__(self, together: int = 1) -> None:
        self.barrier = threading.Barrier(together)
        self.inside = 0
        self.is_open = threading.Event()

    @property
    def provider(self) -> Provider:
        """Speaks each text as one sample: the process id, modulo 32768."""

        def speak(settings: SpeakSettings, account: Account) -> wire.Dialogue:
            return _Speak(self)

        return Provider("mill", speak=speak)

    def grind(self) -> None:
        """In a model thread."""
        self.inside += 1
        self.barrier.wait(30)
        self.is_open.wait(60)


class _Engine:
    def __init__(self, mill: Mill) -> None:
        self._mill = mill

    def feed(self, outgoing: str | bytes) -> Iterator[str | bytes]:
        self._mill.grind()
        yield struct.pack("<h", os.getpid() % 32768)
        yield "done"

    def close(self) -> None:
        pass


class _Speak:
    format = FORMAT

    def __init__(self, mill: Mill) -> None:
        local = wire.Local("mill", lambda: mill, _Engine)
        self.opening = wire.Opening("engine:mill", local=local)

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        return [command.text] if isinstance(command, wire.Speak) else []

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        if isinstance(incoming, bytes):
            return [wire.Spoken(AudioFrame(FORMAT, incoming))]
        return [wire.SpokenAll()]
