"""What passed over one link, counted in one place for every provider."""

from twisted.internet.interfaces import IReactorTime

from waav.speech import wire


class LinkFigures:
    """Counts of one link.

    Args:
        clock: measures how long it is up.

    Attributes:
        audio_bytes: audio given to the vendor, repeated audio included.
        results: recognised texts, interim and final; results without text do not count.
        finals: the final ones among them.
    """

    __slots__ = (
        "_began_at",
        "_clock",
        "_confidence",
        "_ended_at",
        "audio_bytes",
        "finals",
        "results",
    )

    def __init__(self, clock: IReactorTime) -> None:
        self.audio_bytes = 0
        self.results = 0
        self.finals = 0
        self._confidence = 0.0
        self._clock = clock
        self._began_at: float | None = None
        self._ended_at: float | None = None

    @property
    def mean_confidence(self) -> float | None:
        """Of the finals, 0..1; None before the first."""
        return self._confidence / self.finals if self.finals else None

    @property
    def uptime_s(self) -> float:
        """Since the vendor was ready; stands still after the end."""
        if self._began_at is None:
            return 0.0
        now: float = self._clock.seconds() if self._ended_at is None else self._ended_at
        return now - self._began_at

    def began(self) -> None:
        """The vendor is ready."""
        if self._began_at is None:
            self._began_at = self._clock.seconds()

    def ended(self) -> None:
        """The link is over."""
        if self._ended_at is None:
            self._ended_at = self._clock.seconds()

    def said(self, command: wire.Command) -> None:
        """``command`` goes to the vendor."""
        if isinstance(command, wire.Audio):
            self.audio_bytes += len(command.data)

    def heard(self, event: wire.Event) -> None:
        """``event`` came from the vendor."""
        if not isinstance(event, wire.Transcript) or not event.text:
            return
        self.results += 1
        if event.is_final:
            self.finals += 1
            self._confidence += event.confidence
