"""A call under one config: its graph, what is playing, and the way from the graph to the caller."""

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.logger import Logger

from waav.errors import BadRequest, ProviderError, WaavError
from waav.graph.build import Emit, Surroundings, build
from waav.graph.definition import Definition
from waav.graph.kinds import KINDS
from waav.graph.nodes.gate import Gate
from waav.graph.nodes.listen import Listen
from waav.graph.nodes.turns import Turns
from waav.graph.templates import plain_call
from waav.graph.values import Broken, Complete, Frames, Say
from waav.links.engines.turn_queue import TurnShare
from waav.session.call_settings import CallSettings, Listening, Speaking
from waav.session.ledger import SPEAKING
from waav.session.outlet import Outlet
from waav.session.own_models import converse, noise_config, turns_config
from waav.session.playback import Playback
from waav.session.summary import CallSummary
from waav.session.trouble import log_trouble
from waav.session.world import World
from waav.speech import wire

NOT_LISTENING = "Failed to process audio: this call has no stt_config"
NO_DETECTOR = (
    "turn_detect.threshold: this call has no turn detection; send config with turn_detection=true"
)
NOT_SPEAKING = "Failed to synthesize speech: this call has no tts_config"


class ConfiguredCall:
    """Built from an accepted config; ``start`` connects its providers.

    Raises:
        WaavError: the settings cannot work. Nothing was connected.
    """

    _log = Logger()

    def __init__(
        self, world: World, settings: CallSettings, outlet: Outlet, figures: CallSummary
    ) -> None:
        self._settings = settings
        self._outlet = outlet
        self._figures = figures
        self._clock = world.clock
        self._ledger = world.ledger
        self._written: dict[str, float] = {}  # counts that the ledger knows
        self._heard_bytes = 0
        self._heard_from: float | None = None  # while no text has been recognised
        self._utterances = 0
        self._is_over = False
        self._is_congested = False
        self._has_refused_audio = False
        self._playback = Playback(world.clock, world.interruption.max_lock_s, self._unlocked)
        share = TurnShare(settings.stream_id)
        surroundings = Surroundings(
            clock=world.clock,
            dialler=world.dialler,
            converse=partial(converse, world, share),
            congested=self._congested,
            on_text=self._on_text,
            on_audio=self._on_audio,
            count=figures.add,
            warn=self._warn,
            took=partial(self._took, settings.speaking),
            stream_id=settings.stream_id,
            share=share,
        )
        definition = _definition(world, settings, self._is_locked)
        self._graph = build(definition, KINDS, surroundings)
        self._audio_in: Emit | None = self._first_audio if settings.listening is not None else None
        self._text_in = self._graph.entry("text_input") if settings.speaking is not None else None

    @property
    def stream_id(self) -> str:
        """For log lines."""
        return self._settings.stream_id

    @property
    def providers(self) -> str:
        """Names of the providers in use, for messages."""
        halves = (self._settings.listening, self._settings.speaking)
        return " and ".join(half.provider.name for half in halves if half is not None)

    async def start(self) -> None:
        """Connect everything at the same time; returns when all of it is ready."""
        self._written = self._counts()
        await self._graph.start()
        if self._settings.listening is not None:
            listen = self._graph.node("listen")
            assert isinstance(listen, Listen)
            if listen.figures is not None:
                self._figures.connected(listen.figures)

    async def stop(self, at_once: bool) -> None:
        """Disconnect everything. Without ``at_once`` the caller still gets what is being recognised."""
        self._is_over = at_once
        try:
            self._playback.cleared()
            if self._text_in is not None:
                self._text_in(wire.Clear())
        finally:
            await self._stop_graph(at_once)

    async def _stop_graph(self, at_once: bool) -> None:
        try:
            await self._graph.stop(at_once)
        finally:
            if not self._is_over:
                self._congested(False)
            self._is_over = True
            if self._settings.listening is not None:
                self._figures.heard_s += self._heard_s
            self._write_down()
            # Whatever of the graph is held by somebody else must not hold the call, nor the call hold it.
            self._audio_in = self._text_in = None
            self._playback.end()

    @property
    def ear(self) -> Callable[[bytes], None] | None:
        """``hear`` where the call listens."""
        return None if self._audio_in is None else self.hear

    def hear(self, data: bytes) -> None:
        """Audio of the caller."""
        if self._audio_in is not None:
            self._heard_bytes += len(data)
            self._audio_in(data)
            return
        self._figures.add("dropped")
        if not self._has_refused_audio:
            # Once: a client that streams would get one for each of 50 frames a second.
            self._has_refused_audio = True
            self._error(NOT_LISTENING, "bad_request")

    def say(self, text: str, *, flush: bool, allow_interruption: bool) -> None:
        """Queue ``text``."""
        if self._text_in is None:
            self._error(NOT_SPEAKING, "bad_request")
            self._tell(self._outlet.spoken_all)
            return
        self._utterances += 1
        is_protected = not allow_interruption
        if text.strip():
            self._figures.add("utterances")
            self._playback.asked(self._utterances, is_protected)
        self._text_in(Say(self._utterances, text, flush, is_protected))

    def clear(self) -> None:
        """Drop all speech, unless some of it is protected."""
        if self._playback.is_locked:
            self._figures.add("clears_refused")
            self._log.debug(
                "{stream_id}: clear refused during protected speech",
                stream_id=self._settings.stream_id,
            )
            return
        self._figures.add("cleared", self._playback.unfinished)
        self._playback.cleared()
        if self._text_in is not None:
            self._text_in(wire.Clear())

    def flush(self) -> None:
        """Finals for what the caller has said so far, and no more waiting with what is to be said to him."""
        if self._text_in is not None:
            self._text_in(wire.Flush())
        if self._settings.listening is not None:
            listen = self._graph.node("listen")
            assert isinstance(listen, Listen)
            listen.flush()

    def turn_threshold(self, threshold: float) -> None:
        """Change from which probability a turn counts as finished.

        Raises:
            BadRequest: nobody asks a turn model in this call.
        """
        turns = self._graph.node("turns") if self._settings.listening is not None else None
        if not isinstance(turns, Turns) or turns.detector is None:
            raise BadRequest(NO_DETECTOR)
        turns.detector.threshold = threshold

    def pause(self) -> None:
        """The caller's connection is full."""
        self._graph.pause()

    def resume(self) -> None:
        """The caller's connection takes more."""
        self._graph.resume()

    # CallSummary of the process.

    def _first_audio(self, data: bytes) -> None:
        """The first of the caller's audio; the rest goes straight into the graph."""
        into = self._audio_in = self._graph.entry("audio_input")
        self._heard_from = self._clock.seconds()
        into(data)

    @property
    def _heard_s(self) -> float:
        """Audio of the caller under this config."""
        listening = self._settings.listening
        if listening is None:
            return 0.0
        return listening.settings.format.duration_s(self._heard_bytes) or 0.0

    def _counts(self) -> dict[str, float]:
        return {
            **self._figures.counts,
            "heard_s": self._heard_s,
            "spoken_s": self._figures.spoken_s,
        }

    def _write_down(self) -> None:
        """What has come since the last time: at the end of turns and utterances, never for a frame."""
        before, self._written = self._written, self._counts()
        for name, number in self._written.items():
            half = self._settings.speaking if name in SPEAKING else self._settings.listening
            more = number - before.get(name, 0)
            if half is not None and more > 0:
                self._ledger.count(half.provider.name, name, more)

    def _took(self, half: Listening | Speaking | None, name: str, seconds: float) -> None:
        if half is not None:
            self._ledger.took(half.provider.name, name, seconds)

    # What comes out of the graph.

    def _on_text(self, value: Any) -> None:
        if self._is_over:
            return
        match value:
            case wire.Transcript():
                self._figures.add("results")
                if self._heard_from is not None and value.text:
                    self._took(
                        self._settings.listening,
                        "first_result",
                        self._clock.seconds() - self._heard_from,
                    )
                    self._heard_from = None
                if value.is_final:
                    self._figures.add("finals")
                    self._write_down()
                self._tell(self._outlet.transcript, value)
            case wire.Failed(error):
                self._stt_error(error)
            case wire.Restored():
                self._figures.add("reconnects")
                self._log_restored()
            case wire.Lost(error):
                self._congested(False)
                self._stt_error(error)

    def _on_audio(self, value: Any) -> None:
        if self._is_over:
            return
        match value:
            case Frames(utterance, _, frames, duration_s):
                self._playback.handed_over(utterance, frames, duration_s)
                self._figures.spoken_s += duration_s or 0.0
                self._tell(self._outlet.audio, frames)
            case Complete(utterance):
                self._playback.finished(utterance)
                self._write_down()
                self._tell(self._outlet.spoken_all)
            case Broken(utterance, error):
                if isinstance(error, ProviderError):
                    log_trouble(self._log, self._figures, self._settings, error)
                self._playback.failed(utterance)
                if self._settings.speaking is not None:
                    self._ledger.error(self._settings.speaking.provider.name, "tts", error.code)
                self._error(f"TTS error: {error.message}", error.code)

    def _stt_error(self, error: ProviderError) -> None:
        if self._settings.listening is not None:
            self._ledger.error(self._settings.listening.provider.name, "stt", error.code)
        log_trouble(self._log, self._figures, self._settings, error)
        self._error(f"STT streaming error: {error.message}", error.code)

    def _log_restored(self) -> None:
        listening = self._settings.listening
        if listening is not None and self._figures.is_new(listening.provider.name, "Restored"):
            self._log.warn(
                "{stream_id}: {provider} broke off and was connected again",
                stream_id=self._settings.stream_id,
                provider=listening.provider.name,
            )

    def _congested(self, is_full: bool) -> None:
        if is_full != self._is_congested:
            self._is_congested = is_full
            self._tell(self._outlet.congested, is_full)

    def _is_locked(self) -> bool:
        return self._playback.is_locked

    def _unlocked(self) -> None:
        if self._settings.listening is not None and not self._is_over:
            gate = self._graph.node("gate")
            assert isinstance(gate, Gate)
            gate.opened()

    def _warn(self, error: WaavError) -> None:
        """Something that was asked for is missing; the call goes on without it."""
        if not self._is_over:
            self._error(error.message, error.code)

    def _error(self, message: str, code: str) -> None:
        self._figures.add("errors")
        self._tell(self._outlet.error, message, code)

    def _tell(self, outlet: Callable[..., None], *args: Any) -> None:
        """Whatever the caller's connection does with it, the call goes on."""
        try:
            outlet(*args)
        except Exception:
            self._log.failure(
                "{stream_id}: the caller's connection failed in {call}",
                stream_id=self._settings.stream_id,
                call=outlet.__name__,
            )


def _definition(world: World, settings: CallSettings, is_locked: Callable[[], bool]) -> Definition:
    """The graph of a call that brings none of its own."""
    hearing: dict[str, Any] = {}
    listening, speaking = settings.listening, settings.speaking
    if listening is not None:
        noise = noise_config(world, settings)
        turns = turns_config(world, listening, settings, noise)
        source = noise["format"] if noise else listening.settings.format
        hearing = {
            "listening": {
                "listener": listening,
                "source": source,
                "gap_s": world.limits.audio_gap_ms / 1000,
            },
            "gate": {"is_locked": is_locked, "policy": world.interruption.block_stt},
            "turns": turns,
            "noise": noise,
            "hears_audio": turns["detector"] is not None,
        }
    flush_delay_s = world.limits.flush_delay_ms / 1000
    voice = None if speaking is None else {"speaker": speaking, "flush_delay_s": flush_delay_s}
    return plain_call(speaking=voice, **hearing)
