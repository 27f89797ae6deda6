"""What the caller is hearing, and whether it may be interrupted.

All times are seconds of the reactor's monotonic clock. The playhead is when the caller will have heard
everything handed over so far, if it plays at once and without a gap; audio is handed over faster than it
plays.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

# For compressed audio whose duration only a decoder could tell: speech is rarely encoded with less, so this
# errs towards a longer lock.
FALLBACK_BITS_PER_S = 32_000


class Playback:
    """The utterances of one call that are queued, being synthesised or playing.

    Args:
        max_lock_s: protected speech that brings no new audio for this long, counted from the end of what it
            brought, is given up as protected.
        unlocked: called each time protection ends, however it does.
    """

    def __init__(
        self, clock: IReactorTime, max_lock_s: float, unlocked: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._max_lock_s = max_lock_s
        self._unlocked = unlocked
        self._waiting: dict[int, bool] = {}  # utterance -> is it protected; in order of asking
        self._playhead = 0.0
        self._locked_until = 0.0
        self._locked_before = 0.0
        self._locking: int | None = None  # the protected utterance that brought audio last
        self._last_progress = 0.0
        self._check: IDelayedCall | None = None

    @property
    def is_locked(self) -> bool:
        """Whether protected speech is queued, being synthesised or still playing."""
        if self._check is None:
            return False
        return self._releases_at() > self._clock.seconds()

    @property
    def unfinished(self) -> int:
        """Utterances asked for that are neither complete nor cleared."""
        return len(self._waiting)

    def asked(self, utterance: int, is_protected: bool) -> None:
        """Somebody wants this to be spoken; protection begins here."""
        self._waiting[utterance] = is_protected
        if is_protected:
            self._last_progress = self._clock.seconds()
            self._watch()

    def handed_over(self, utterance: int, frames: list[bytes], duration_s: float | None) -> None:
        """Some of its audio went to the caller."""
        if duration_s is None:
            duration_s = sum(map(len, frames)) * 8 / FALLBACK_BITS_PER_S
        now = self._clock.seconds()
        self._playhead = max(self._playhead, now) + duration_s
        if self._waiting.get(utterance):
            if utterance != self._locking:
                self._locking, self._locked_before = utterance, self._locked_until
            self._locked_until = self._last_progress = self._playhead

    def failed(self, utterance: int) -> None:
        """It could not be spoken to its end: what there was of it protects nothing."""
        if utterance == self._locking:
            self._locked_until = self._locked_before
        self.finished(utterance)

    def finished(self, utterance: int) -> None:
        """It was handed over to its end: only what the caller has not heard yet protects it."""
        if self._waiting.pop(utterance, False):
            self._watch()

    def cleared(self) -> None:
        """Everything was dropped, here and by the caller."""
        self._waiting.clear()
        self._playhead = self._locked_until = 0.0
        self._locking = None
        self._release()

    def end(self) -> None:
        """Nobody is told anything any more."""
        self._unlocked = _nobody

    def _releases_at(self) -> float:
        """When protection ends if nothing else happens."""
        if any(self._waiting.values()):
            return self._last_progress + self._max_lock_s
        return self._locked_until

    def _watch(self) -> None:
        """Look again when protection may be over; one timer, moved only when it fires or must be earlier."""
        now = self._clock.seconds()
        at = self._releases_at()
        if at <= now:
            self._release()
        elif self._check is None:
            self._check = self._clock.callLater(at - now, self._look)
        elif self._check.getTime() > at:
            self._check.reset(at - now)

    def _look(self) -> None:
        self._check = None
        now = self._clock.seconds()
        at = self._releases_at()
        if at > now:
            self._check = self._clock.callLater(at - now, self._look)
            return
        self._give_up()
        self._unlocked()

    def _give_up(self) -> None:
        """What was protected and never came is ordinary from now on."""
        for utterance in self._waiting:
            self._waiting[utterance] = False

    def _release(self) -> None:
        if self._check is not None:
            check, self._check = self._check, None
            check.cancel()
            self._unlocked()


def _nobody() -> None:
    """The call is over."""
