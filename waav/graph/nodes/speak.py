"""The node that turns text into speech: one queue, one synthesis at a time, in the order of asking."""

from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from waav.errors import (
    BadRequest,
    ConfigError,
    ProviderError,
    ProviderRefused,
    TooMany,
    WaavError,
    WireError,
    untraced,
)
from waav.graph.build import Emit, Surroundings
from waav.graph.credential import fingerprint
from waav.graph.notes import Notes
from waav.graph.shape import Shape
from waav.graph.values import Broken, Complete, Frames, Say
from waav.links.dial import Link
from waav.speech import wire
from waav.speech.audio import AudioFormat, AudioFrame
from waav.speech.formats import label
from waav.speech.provider import Account, Provider, SpeakSettings
from waav.speech.sentences import (
    Pronunciation,
    is_fragment,
    is_speakable,
    pronounce,
    settled,
    split,
)
from waav.tasks import started

# Answers that will be the same for every text: the key, the bill, the permission.
_HOPELESS_STATUS = frozenset({401, 402, 403})

# About twenty of the longest texts that /ws takes, or hours of speech. A caller that sends faster than anybody
# can speak would otherwise fill the memory.
MAX_QUEUED = 2_000_000
# What a text costs besides its characters.
QUEUED_EACH = 256


class Speaker(Protocol):
    """Who speaks, with which account, and what is done to the text first."""

    @property
    def provider(self) -> Provider: ...
    @property
    def settings(self) -> SpeakSettings: ...
    @property
    def account(self) -> Account: ...
    @property
    def pronunciations(self) -> tuple[Pronunciation, ...]: ...
    @property
    def dial_s(self) -> float | None: ...
    @property
    def request_s(self) -> float | None: ...
    @property
    def use_cache(self) -> bool: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...


LEAST_WAIT_S = 0.1
"""How long text with ``flush: false`` waits for more at least: whoever sends a whole text so hears it without delay."""

WORD_WAIT_S = 0.3
"""The same for a first piece that is no more than a word: most likely others follow, and nobody knows yet how fast."""

RHYTHM = 2.5
"""Once pieces have come, the next one is waited for so many times as long as the slowest of them took."""


class _Entry:
    """Texts that are spoken as one: usually the text of one ``Say``.

    Attributes:
        text: what is left to ask for, just as it was sent.
        pieces: of that, in the sizes in which it is asked for.
        cost: share of ``MAX_QUEUED``.
    """

    def __init__(self, say: Say) -> None:
        self.utterances: list[int] = []
        self.text = ""
        self.is_protected = say.is_protected
        self.pieces: deque[str] = deque()
        self.asked_at: float | None = None  # when the first of them was asked for
        self.shape: Shape | None = None
        self.cost = 0
        self._added_at = 0.0
        self._slowest_s = 0.0
        self._looked_at = 0  # up to where no end of a sentence was found

    def add(self, say: Say, now: float) -> None:
        """Some more, to be said without a seam."""
        if self.utterances:
            self._slowest_s = max(self._slowest_s, now - self._added_at)
        self._added_at = now
        self.utterances.append(say.utterance)
        self.text += say.text
        self.cost += len(say.text) + QUEUED_EACH

    def wait_s(self, most_s: float) -> float:
        """How long to wait for more."""
        if len(self.utterances) > 1:
            wait_s = max(LEAST_WAIT_S, RHYTHM * self._slowest_s)
        else:
            is_word = is_fragment(self.text)
            wait_s = WORD_WAIT_S if is_word else LEAST_WAIT_S
        return min(wait_s, most_s)

    def take(self, is_open: bool) -> str:
        """What can be spoken now: all, or while more may follow only the sentences that have certainly ended."""
        end = len(self.text)
        if is_open:
            end = settled(self.text, self._looked_at)
            if not is_speakable(self.text[:end]):
                end = 0
            self._looked_at = 0 if end else len(self.text)
        taken, self.text = self.text[:end], self.text[end:]
        return taken


class Speak:
    """Receives ``Say`` and ``wire.Clear``; emits ``Frames``, ``Broken`` and ``Complete``.

    Args:
        speaker: provider, settings and account.
        flush_delay_s: how long text with ``flush: false`` waits for more, at most; how long really is told by the
            rhythm in which it comes.
        is_cut: whether raw audio leaves in pieces of 10 ms.
        is_labelled: whether whoever gets the audio learns from it what it is. Otherwise he was told beforehand,
            and audio of another kind would be noise to him: then it is an error.

    Attributes:
        promised: the audio that comes out, as far as the vendor delivers what he was asked for.
    """

    _log = Logger()

    def __init__(
        self,
        speaker: Speaker,
        surroundings: Surroundings,
        emit: Emit,
        *,
        flush_delay_s: float = 0.5,
        is_cut: bool = True,
        is_labelled: bool = False,
    ) -> None:
        self._speaker = speaker
        self._surroundings = surroundings
        self._emit = emit
        self._flush_delay_s = flush_delay_s
        self._is_cut = is_cut
        self._is_labelled = is_labelled
        self._notes = Notes(speaker.provider.name, surroundings.stream_id, surroundings.noted)
        self._queue: deque[_Entry] = deque()
        self._queued = 0  # what the texts that wait or are being spoken cost, all together
        self._held: _Entry | None = None  # the last, while it may grow
        self._holding: IDelayedCall | None = None
        self._current: _Entry | None = None
        self._is_in_flight = False
        self._has_sounded = False  # what is in flight has brought some audio
        self._is_pumping = False
        self._generation = 0  # changes whenever what was under way is no longer wanted
        self._link: Link | None = None
        self._opening: Deferred[None] | None = None
        self._is_paused = False
        self._is_stopped = False
        # Refuses what cannot work before anything is connected.
        self.promised = Shape(self._new_dialogue().format, speaker.settings, is_cut).format

    # The node.

    def receive(self, value: Any) -> None:
        match value:
            case Say():
                self._take(value)
            case wire.Clear():
                self._clear()
            case wire.Flush():
                self._release()

    def start(self) -> Deferred[None]:
        for warning in self._speaker.warnings:
            self._notes.take(warning)
        self._opening = started(self._open())
        return self._opening

    def stop(self, at_once: bool) -> Deferred[None]:
        self._forget()
        self._is_stopped = True
        if self._opening is not None:
            self._opening.cancel()
        link, self._link = self._link, None
        if link is None:
            return succeed(None)
        if at_once:
            link.abort()
            return succeed(None)
        return link.close()

    def pause(self) -> None:
        self._is_paused = True
        if self._link is not None:
            self._link.pause()

    def resume(self) -> None:
        self._is_paused = False
        if self._link is not None:
            self._link.resume()

    # What the link tells.

    def event(self, event: wire.Event) -> None:
        match event:
            case wire.Spoken(frame):
                if self._is_in_flight:
                    self._deliver(frame)
                else:
                    self._surroundings.count("late", 1)
            case wire.SpokenAll(is_silent):
                if self._is_in_flight and not (self._has_sounded or is_silent):
                    self._break(WireError(self._name, f"{self._name} answered without any audio"))
                    return
                self._is_in_flight = False
                self._pump()
            case wire.Failed(error):
                self._break(error)
            case wire.Warned(message):
                self._notes.take(message)
            case wire.Lost(error):
                # With nothing under way nobody misses the connection; the next text opens another.
                self._link = None
                self._break(error)

    def congested(self, is_full: bool) -> None:
        """Text is small and waits in our own queue: nothing to hold back."""

    # The queue.

    def _take(self, say: Say) -> None:
        now = self._surroundings.clock.seconds()
        if self._queued + len(say.text) + QUEUED_EACH > MAX_QUEUED:
            refused = _Entry(say)
            refused.add(say, now)
            self._tell([refused], TooMany("too much text is waiting to be spoken"))
            return
        self._queued += len(say.text) + QUEUED_EACH
        held = self._held
        if held is None or held.is_protected != say.is_protected:
            self._release()
            held = self._held = _Entry(say)
            self._queue.append(held)
        held.add(say, now)
        if say.flush or self._flush_delay_s <= 0:
            self._release()
            return
        self._wait(held.wait_s(self._flush_delay_s))
        self._pump()

    def _wait(self, seconds: float) -> None:
        """For more text; the wait begins anew with each piece."""
        if self._holding is not None:
            self._holding.reset(seconds)
        else:
            self._holding = self._surroundings.clock.callLater(seconds, self._waited)

    def _waited(self) -> None:
        self._holding = None
        self._release()

    def _release(self) -> None:
        """Nothing is added any more to what came last."""
        self._hold_no_more()
        self._pump()

    def _hold_no_more(self) -> None:
        self._held = None
        if self._holding is not None:
            self._holding.cancel()
            self._holding = None

    def _pump(self) -> None:
        """Ask for what is next, unless something is under way; again if that was over at once."""
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while self._ask():
                pass
        finally:
            self._is_pumping = False

    def _ask(self) -> bool:
        """One step; whether another may follow at once."""
        if self._is_in_flight or self._is_stopped:
            return False
        if self._current is None:
            if not self._queue:
                return False
            self._current = self._queue.popleft()
        entry = self._current
        if not entry.pieces:
            text = entry.take(is_open=entry is self._held)
            if text:
                entry.pieces = self._pieces(text)
                return True
            if entry is not self._held:
                self._complete(entry)
                return True
            return False
        if self._link is None:
            self._reopen()
            return self._link is not None
        if entry.shape is not None and not self._hand_on(entry, entry.shape, entry.shape.restart()):
            return True
        if entry.asked_at is None:
            entry.asked_at = self._surroundings.clock.seconds()
        self._request(self._link, entry.pieces.popleft())
        return True

    def _request(self, link: Link, text: str) -> None:
        generation = self._generation
        self._is_in_flight = True
        self._has_sounded = False
        self._surroundings.count("characters", len(text))
        try:
            link.send(wire.Speak(text))
            # A link may answer from memory before ``send`` returns.
            if self._is_in_flight and generation == self._generation:
                link.send(wire.Flush())
        except WaavError as error:
            if generation == self._generation:
                self._break(error)

    def _pieces(self, text: str) -> deque[str]:
        provider = self._speaker.provider
        if not is_speakable(text):
            return deque()
        text = pronounce(text, self._speaker.pronunciations)
        return deque(split(text, provider.text_limit, provider.text_limit_in_bytes))

    # Audio, and the end of it.

    def _deliver(self, frame: AudioFrame) -> None:
        entry = self._current
        assert entry is not None
        self._has_sounded = self._has_sounded or bool(frame.data)
        shape = entry.shape
        if shape is None and entry.asked_at is not None:
            took_s = self._surroundings.clock.seconds() - entry.asked_at
            self._surroundings.took("first_audio", took_s)
        try:
            if shape is None or shape.source != frame.format:
                shape = entry.shape = self._shape(frame.format)
            frames = shape.feed(frame.data)
        except WaavError as error:
            if self._link is not None:
                self._link.send(wire.Clear())
            self._break(error)
            return
        self._hand_on(entry, shape, frames)

    def _shape(self, source: AudioFormat) -> Shape:
        """For audio that the vendor says is ``source``, whatever was asked of him.

        Raises:
            WireError: the caller cannot get it.
        """
        try:
            shape = Shape(source, self._speaker.settings, self._is_cut)
        except BadRequest as error:
            # Not the caller's fault: what was asked for was looked at when the node was made.
            raise WireError(self._name, error.message) from None
        given, told = shape.format, self.promised
        if self._is_labelled or (given.encoding, given.container) == (
            told.encoding,
            told.container,
        ):
            return shape
        raise WireError(
            self._name, f"{self._name} delivers {label(given)} where {label(told)} was promised"
        )

    def _hand_on(self, entry: _Entry, shape: Shape, frames: list[bytes]) -> bool:
        """Emit; whether anybody still wants what comes afterwards."""
        if not frames:
            return True
        generation = self._generation
        duration_s = shape.duration_s(frames)
        self._emit(Frames(entry.utterances[0], shape.format, frames, duration_s))
        return generation == self._generation

    def _complete(self, entry: _Entry) -> None:
        shape = entry.shape
        if shape is not None and not self._hand_on(entry, shape, shape.finish()):
            return
        self._current = None
        self._queued -= entry.cost
        self._tell([entry], None)

    def _break(self, error: ProviderError | WaavError) -> None:
        """What is being spoken has failed; with some errors, everything behind it has as well."""
        if self._current is None:
            return
        failed = [self._current]
        if self._current is self._held:
            self._hold_no_more()
        self._queued -= self._current.cost
        self._current = None
        self._is_in_flight = False
        if _is_hopeless(error):
            failed.extend(self._queue)
            self._queue.clear()
            self._queued = 0
            self._hold_no_more()
        self._tell(failed, error)
        self._pump()

    def _tell(self, entries: list[_Entry], error: WaavError | None) -> None:
        generation = self._generation
        for entry in entries:
            news: list[Broken | Complete] = [Complete(one) for one in entry.utterances]
            if error is not None:
                news.insert(0, Broken(entry.utterances[0], error))
            for one in news:
                self._emit(one)
                if generation != self._generation:
                    return

    def _clear(self) -> None:
        was_in_flight = self._is_in_flight
        self._forget()
        if was_in_flight and self._link is not None:
            self._link.send(wire.Clear())

    def _forget(self) -> None:
        self._generation += 1
        self._queue.clear()
        self._queued = 0
        self._current = None
        self._is_in_flight = False
        self._hold_no_more()

    # The link.

    def _new_dialogue(self) -> wire.Dialogue:
        make = self._speaker.provider.speak
        if make is None:
            raise BadRequest(f"{self._speaker.provider.name} does not speak")
        return make(self._speaker.settings, self._speaker.account)

    async def _open(self) -> None:
        speaker = self._speaker
        link = await self._surroundings.dialler.open(
            speaker.provider.name,
            self._new_dialogue,
            self,
            fingerprint=fingerprint(speaker.account),
            dial_s=speaker.dial_s,
            request_s=speaker.request_s,
            use_cache=speaker.use_cache,
            share=self._surroundings.share,
        )
        if self._is_stopped:
            link.abort()
            raise CancelledError()
        self._link = link
        if self._is_paused:
            link.pause()
        self._pump()

    def _reopen(self) -> None:
        if self._opening is None or self._opening.called:
            self._opening = started(self._open_again())

    async def _open_again(self) -> None:
        try:
            await self._open()
        except CancelledError as cancelled:
            untraced(cancelled)
        except WaavError as error:
            self._break(untraced(error))
        except Exception:
            self._log.failure("{provider} could not be opened again", provider=self._name)
            self._break(ProviderError(self._name, f"{self._name} could not be reached"))

    @property
    def _name(self) -> str:
        return self._speaker.provider.name


def _is_hopeless(error: WaavError) -> bool:
    if isinstance(error, ProviderRefused):
        return error.upstream_status in _HOPELESS_STATUS
    return isinstance(error, ConfigError)


def speak(config: Mapping[str, Any], surroundings: Surroundings, emit: Emit) -> Speak:
    """Kind ``tts_provider``: ``speaker``, ``flush_delay_s`` and ``is_cut``."""
    return Speak(
        config["speaker"],
        surroundings,
        emit,
        flush_delay_s=config.get("flush_delay_s", 0.5),
        is_cut=config.get("is_cut", True),
    )
