"""Whether a connection is still used, and whether anybody is still there."""

from collections.abc import Callable
from random import Random

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from waav.gateway.settings import WebSocketSettings

JITTER = 0.1
"""Share by which idle limits differ, so that connections opened together do not end together."""


class Activity:
    """Watches one connection: sends pings, and says when it is idle or dead.

    What passes only leaves a timestamp; one timer looks at the timestamps when something could be due.

    Args:
        clock: monotonic.
        settings: idle limit, ping interval and how many pings may go unanswered.
        random: where the idle limit's jitter comes from.
        ping: sends a ping.
        idle: called once when nothing has passed for the idle limit.
        dead: called once when too many pings in a row were followed by nothing at all.

    Attributes:
        seconds: the clock.
        heard_at: to be set when anything comes in: audio, a message, a ping or a pong.
        sent_at: to be set when audio or a message goes out (a ping does not count).
    """

    def __init__(
        self,
        clock: IReactorTime,
        settings: WebSocketSettings,
        random: Random,
        *,
        ping: Callable[[], None],
        idle: Callable[[], None],
        dead: Callable[[], None],
    ) -> None:
        self._clock = clock
        self.seconds: Callable[[], float] = clock.seconds
        self._settings = settings
        self._ping, self._idle, self._dead = ping, idle, dead
        self.idle_s = settings.idle_s * random.uniform(1 - JITTER, 1 + JITTER)
        now = clock.seconds()
        self.heard_at = self.sent_at = self._pinged_at = now
        self._unanswered = 0
        self._is_deaf = self._is_stopped = False
        self._timer: IDelayedCall | None = None
        self._wait(now)

    def deaf(self, is_deaf: bool) -> None:
        """While we do not read from the caller, silence says nothing about it."""
        self._is_deaf = is_deaf
        if not is_deaf:
            self.heard_at = self._pinged_at = self._clock.seconds()

    def stop(self) -> None:
        """Neither pings nor verdicts any more."""
        self._is_stopped = True
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _wait(self, now: float) -> None:
        due_at = min(
            max(self.heard_at, self.sent_at) + self.idle_s,
            self._pinged_at + self._settings.ping_s,
        )
        # A millisecond of margin: float sums must not make the timer come just before what it waits for.
        self._timer = self._clock.callLater(max(due_at - now, 0.0) + 0.001, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        if self._is_deaf:
            self.heard_at = self._pinged_at = now
        elif now - max(self.heard_at, self.sent_at) >= self.idle_s:
            self._idle()
            return
        elif now - self._pinged_at >= self._settings.ping_s:
            if self.heard_at >= self._pinged_at:
                self._unanswered = 0
            if self._unanswered >= self._settings.missed_pings:
                self._dead()
                return
            self._pinged_at = now
            self._unanswered += 1
            self._ping()
        if not self._is_stopped:
            self._wait(now)
