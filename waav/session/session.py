"""One caller from hello to hang-up.

The caller's connection (``waav.gateway.voice.ws``) tells a session what the caller says; the session tells an
``Outlet`` what comes of it. Between the two a graph runs, built anew for each accepted config.

Calls come one at a time, in the order of the caller's messages: the connection holds back what follows a config
until the Deferred of ``configure`` has fired.
"""

from collections.abc import Callable
from dataclasses import replace

from automat import NoTransition
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, fail
from twisted.logger import Logger

from waav.errors import BadRequest, ProviderError, ProviderTimeout, WaavError
from waav.links.link import timed_out
from waav.session.call_settings import CallSettings, Listening, Speaking
from waav.session.configured import ConfiguredCall
from waav.session.outlet import NOBODY, Outlet
from waav.session.states import Nothing, new_states
from waav.session.summary import CallSummary
from waav.session.trouble import log_trouble
from waav.session.world import World
from waav.tasks import started

NOT_CONFIGURED = "Audio processing is disabled. Send config message with audio=true first."
NOT_READY = "Timeout waiting for voice providers to be ready"


class Session:
    """A caller, configured or not yet.

    Args:
        world: what all calls share.
        outlet: the caller's connection. It is never called again after ``hang_up``.
    """

    _log = Logger()

    def __init__(self, world: World, outlet: Outlet) -> None:
        self._world = world
        self._outlet = outlet
        self._states = new_states(Nothing())
        self._settings: CallSettings | None = None
        self._call: ConfiguredCall | None = None
        self._arriving: Deferred[None] | None = None
        self._leaving: list[Deferred[None]] | None = None
        self._is_paused = False
        self._stream_id: str | None = None
        self.figures = CallSummary(world.clock.seconds())

    @property
    def state(self) -> str:
        """``connected``, ``configuring``, ``ready``, ``reconfiguring``, ``closing`` or ``closed``."""
        return self._states.word()

    def configure(self, settings: CallSettings) -> Deferred[None]:
        """Put ``settings`` in force. Fires when the call is ready.

        Settings that cannot work leave what was in force untouched. Others first end what was in force: a half
        (recognition or synthesis) that they do not mention goes on as it was configured.

        Returns:
            Fails with a WaavError whose text is meant for the caller, after everything that these settings had
            started was stopped. Cancelling it does the same.
        """
        try:
            settings = self._completed(settings)
            call = self._prepared(settings)
            was_ready = self._begun()
        except WaavError:
            return fail()
        arriving = started(self._replace(settings, call, was_ready))
        if not arriving.called:
            self._arriving = arriving
        return arriving

    @property
    def ear(self) -> Callable[[bytes], None] | None:
        """What ``hear`` does while the present settings are in force: for whoever has much to say."""
        return None if self._call is None else self._call.ear

    def hear(self, data: bytes) -> None:
        """Some audio of the caller, in the format of ``Listening.settings.format``."""
        call = self._call
        if call is None:
            self._refuse(NOT_CONFIGURED)
        else:
            call.hear(data)

    def say(self, text: str, *, flush: bool = True, allow_interruption: bool = True) -> None:
        """Speak ``text`` after everything asked for before; ends with one ``Outlet.spoken_all``."""
        call = self._call
        if call is None:
            self._refuse(NOT_CONFIGURED)
        else:
            call.say(text, flush=flush, allow_interruption=allow_interruption)

    def clear(self) -> None:
        """Drop all speech asked for so far, unless some of it must not be interrupted."""
        if self._call is not None:
            self._call.clear()

    def flush(self) -> None:
        """Finals, please, for what was heard so far; nothing without a call that listens."""
        if self._call is not None:
            self._call.flush()

    def turn_threshold(self, threshold: float) -> None:
        """Change from which probability, 0 to 1, a turn counts as finished.

        Raises:
            BadRequest: there is no call, or none with a turn model.
        """
        if self._call is None or self._settings is None:
            raise BadRequest(NOT_CONFIGURED)
        self._call.turn_threshold(threshold)
        self._settings = replace(self._settings, turn_threshold=threshold)

    def pause(self) -> None:
        """The caller's connection is full: vendors that speak are not read until ``resume``."""
        self._is_paused = True
        if self._call is not None:
            self._call.pause()

    def resume(self) -> None:
        """The caller's connection takes more again."""
        self._is_paused = False
        if self._call is not None:
            self._call.resume()

    def hang_up(self) -> Deferred[None]:
        """End the call. Fires when every part of it has ended; never fails. May be called again."""
        waiter: Deferred[None] = Deferred()
        if self._states.hang_up():
            self._leaving = [waiter]
            started(self._leave())
        elif self._leaving is None:
            waiter.callback(None)
        else:
            self._leaving.append(waiter)
        return waiter

    def _completed(self, settings: CallSettings) -> CallSettings:
        """Settings with the halves they take over from those in force."""
        return settings.over(self._settings) if self._settings is not None else settings

    def _prepared(self, settings: CallSettings) -> ConfiguredCall | None:
        """The call these settings ask for, checked and built but not started."""
        if not settings.has_audio:
            return None
        if settings.listening is None and settings.speaking is None:
            raise BadRequest("STT configuration is required when audio=true")
        try:
            return ConfiguredCall(self._world, settings, self._outlet, self.figures)
        except WaavError as error:
            _explain("Failed to create voice manager", error)
            raise

    def _begun(self) -> bool:
        try:
            return self._states.begin()
        except NoTransition:
            raise RuntimeError(f"a session cannot be configured while {self.state}") from None

    async def _replace(
        self, settings: CallSettings, call: ConfiguredCall | None, was_ready: bool
    ) -> None:
        try:
            if was_ready:
                await self._end_call(at_once=False)
                self._states.stopped()
            if call is not None:
                await self._start(call)
            if self.state != "configuring":
                # Whoever was told something while it started has hung up.
                if call is not None:
                    await call.stop(at_once=True)
                raise CancelledError()
        except Exception as error:
            self._settings = None
            self._arriving = None
            self._states.failed()
            if isinstance(error, ProviderError):
                log_trouble(self._log, self.figures, settings, error)
            raise
        self._call = call
        if call is not None and self._is_paused:
            call.pause()
        self._settings = settings
        self._arriving = None
        self._states.became_ready()
        self._log_start(settings)

    async def _start(self, call: ConfiguredCall) -> None:
        """Start it within the limit, or leave nothing of it behind."""
        limit_s = self._world.limits.ready_s
        starting = started(call.start())
        starting.addTimeout(limit_s, self._world.clock, timed_out)
        try:
            await starting
        except Exception as error:
            await call.stop(at_once=True)
            if isinstance(error, TimeoutError):
                raise ProviderTimeout(call.providers, NOT_READY) from None
            if isinstance(error, WaavError):
                _explain("Failed to start voice manager", error)
                raise
            if isinstance(error, CancelledError):
                raise
            self._log.failure("{stream_id}: could not start", stream_id=call.stream_id)
            raise WaavError("Failed to start voice manager: internal error") from error

    async def _end_call(self, at_once: bool) -> None:
        call, self._call = self._call, None
        if call is not None:
            await call.stop(at_once)

    async def _leave(self) -> None:
        """End whatever there is; each step is taken whatever became of the others."""
        try:
            if self._arriving is not None:
                await _cancelled(self._arriving)
            await self._end_call(at_once=True)
            self._log_end()
        except Exception:
            self._log.failure("{stream_id}: did not end cleanly", stream_id=self._stream_id)
        self._states.ended()
        self._outlet = NOBODY
        leaving, self._leaving = self._leaving or [], None
        for waiter in leaving:
            waiter.callback(None)

    def _log_start(self, settings: CallSettings) -> None:
        self._stream_id = settings.stream_id
        self._world.ledger.configured(_name(settings.listening), _name(settings.speaking))
        self._log.info(
            "{stream_id}: ready, listening with {ears}, speaking with {mouth}",
            stream_id=settings.stream_id,
            ears=_name(settings.listening),
            mouth=_name(settings.speaking),
        )

    def _log_end(self) -> None:
        """One line for a call that was ready at least once."""
        if self._stream_id is None:
            return
        figures = self.figures
        seconds = self._world.clock.seconds() - figures.started_at
        self._world.ledger.ended(seconds)
        self._log.info(
            "{stream_id}: ended after {seconds:.1f}s, heard {heard:.1f}s, spoke {spoken:.1f}s {counts}",
            stream_id=self._stream_id,
            seconds=seconds,
            heard=figures.heard_s,
            spoken=figures.spoken_s,
            counts=figures,
            **figures.fields,
        )

    def _refuse(self, message: str) -> None:
        self.figures.add("errors")
        self._outlet.error(message, "audio_disabled")


def _name(half: Listening | Speaking | None) -> str:
    return "nobody" if half is None else half.provider.name


def _explain(what: str, error: WaavError) -> None:
    """Have the text of ``error`` begin with what failed."""
    # Calls that waited for one model fail with one error.
    if not error.message.startswith(what):
        error.message = f"{what}: {error.message}"
        error.args = (error.message,)


async def _cancelled(task: Deferred[None]) -> None:
    """Cancel ``task`` and wait for its end; whoever else waits for it is told as well."""
    ended: Deferred[None] = Deferred()

    def tell(result: object) -> object:
        ended.callback(None)
        return result

    task.addBoth(tell)
    task.cancel()
    await ended
