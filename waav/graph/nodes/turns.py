"""The node that decides when the caller has finished an utterance."""

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall

from waav.graph.build import Emit, Surroundings
from waav.graph.detector import Detector
from waav.graph.values import AudioFlow
from waav.speech import wire
from waav.speech.turns import Ask, Timing, TurnRules


class Turns:
    """Receives a provider's events, and audio if there is a turn model; emits events.

    Transcripts leave as ``waav.speech.turns`` decides, forced finals among them.

    Args:
        timing: the waits of this call.
        detector: the turn model; None: timers alone.

    Attributes:
        detector: the same.
    """

    def __init__(
        self, timing: Timing, detector: Detector | None, surroundings: Surroundings, emit: Emit
    ) -> None:
        self._rules = TurnRules(timing)
        self.detector = detector
        self._surroundings = surroundings
        self._clock = surroundings.clock
        self._emit = emit
        self._timer: IDelayedCall | None = None
        self._is_stopped = False

    def receive(self, value: Any) -> None:
        match value:
            case bytes():
                if self.detector is not None:
                    self.detector.hear(value)
            case wire.Transcript():
                self._deliver(self._rules.on_transcript(value, self._clock.seconds()))
            case wire.SpeechStarted() | wire.SpeechEnded():
                is_speaking = isinstance(value, wire.SpeechStarted)
                self._rules.on_speech(is_speaking, self._clock.seconds())
                self._rearm()
                self._emit(value)
            case AudioFlow(is_coming):
                self._deliver(self._rules.on_audio(is_coming, self._clock.seconds()))
            case wire.Lost():
                self._deliver(self._rules.end(self._clock.seconds(), is_open=True))
                self._emit(value)
            case _:
                self._emit(value)

    def start(self) -> Deferred[None]:
        """Ready at once: until the model is loaded, and if it never is, timers end the turns."""
        if self.detector is not None:
            self.detector.start(self._can_ask)
        return succeed(None)

    def stop(self, at_once: bool) -> Deferred[None]:
        if not self._is_stopped:
            self._deliver(self._rules.end(self._clock.seconds(), is_open=not at_once))
            self._is_stopped = True
            for method, number in self._rules.counts.items():
                self._surroundings.count(f"forced_{method}", number)
            self._surroundings.count("duplicates", self._rules.duplicates)
        if self.detector is not None:
            self.detector.stop()
        return succeed(None)

    def pause(self) -> None:
        """Transcripts are small: they are never held back."""

    def resume(self) -> None:
        pass

    def _deliver(self, results: list[Any]) -> None:
        self._rearm()
        for result in results:
            if isinstance(result, Ask):
                self._ask(result)
                continue
            if self.detector is not None and result.is_speech_final:
                self.detector.forget()
            self._emit(result)

    def _rearm(self) -> None:
        """One timer: it stays where it is when it would be due earlier than needed, and looks again then."""
        at = self._rules.next_at()
        timer = self._timer
        if at is None:
            if timer is not None:
                timer.cancel()
                self._timer = None
        elif timer is None:
            wait_s = max(0.0, at - self._clock.seconds())
            self._timer = self._clock.callLater(wait_s, self._on_time)
        elif timer.getTime() > at:
            timer.reset(max(0.0, at - self._clock.seconds()))

    def _on_time(self) -> None:
        self._timer = None
        self._deliver(self._rules.on_time(self._clock.seconds()))

    def _can_ask(self, can_ask: bool) -> None:
        self._rules.has_detector = can_ask

    def _ask(self, ask: Ask) -> None:
        assert self.detector is not None
        self.detector.ask().addCallback(lambda verdict: self._decided(ask, verdict))

    def _decided(self, ask: Ask, verdict: bool | None) -> None:
        if not self._is_stopped:
            self._deliver(self._rules.verdict(ask, verdict, self._clock.seconds()))


def turns(config: Mapping[str, Any], surroundings: Surroundings, emit: Emit) -> Turns:
    """Kind ``turns``: ``timing``, and ``detector``: the config of a ``Detector`` or None."""
    model = config["detector"]
    detector = None if model is None else Detector(surroundings=surroundings, **model)
    return Turns(config["timing"], detector, surroundings, emit)
