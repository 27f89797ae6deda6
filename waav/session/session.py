"""One caller from hello to hang-up.

The caller's connection (``waav.gateway.ws``) tells a session what the caller says; the session tells an
``Outlet`` what comes of it. Between the two a graph runs, built anew for each accepted config.

Calls come one at a time, in the order of the caller's messages: the connection holds back what follows a config
until the Deferred of ``configure`` has fired.
"""

from automat import NoTransition
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.logger import Logger
from twisted.python.failure import Failure

from waav.errors import BadRequest, ProviderTimeout, WaavError
from waav.session.call import CallSettings, Outlet, World
from waav.session.conversation import Conversation
from waav.session.figures import Figures
from waav.session.states import Nothing, new_states

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
        self._conversation: Conversation | None = None
        self._arriving: Deferred[None] | None = None
        self._leaving: list[Deferred[None]] | None = None
        self.figures = Figures(world.clock.seconds())

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
            conversation = self._prepared(settings)
            was_ready = self._begun()
        except WaavError:
            return _failed()
        arriving = Deferred.fromCoroutine(self._replace(settings, conversation, was_ready))
        if not arriving.called:
            self._arriving = arriving
        return arriving

    def hear(self, data: bytes) -> None:
        """Some audio of the caller, in the format of ``Listening.settings.format``."""
        conversation = self._conversation
        if conversation is None:
            self._refuse(NOT_CONFIGURED)
        else:
            conversation.hear(data)

    def say(self, text: str, *, flush: bool = True, allow_interruption: bool = True) -> None:
        """Speak ``text`` after everything asked for before; ends with one ``Outlet.spoken_all``."""
        conversation = self._conversation
        if conversation is None:
            self._refuse(NOT_CONFIGURED)
        else:
            conversation.say(text, flush=flush, allow_interruption=allow_interruption)

    def clear(self) -> None:
        """Drop all speech asked for so far, unless some of it must not be interrupted."""
        if self._conversation is not None:
            self._conversation.clear()

    def pause(self) -> None:
        """The caller's connection is full: vendors that speak are not read until ``resume``."""
        if self._conversation is not None:
            self._conversation.pause()

    def resume(self) -> None:
        """The caller's connection takes more again."""
        if self._conversation is not None:
            self._conversation.resume()

    def hang_up(self) -> Deferred[None]:
        """End the call. Fires when every part of it has ended; never fails. May be called again."""
        waiter: Deferred[None] = Deferred()
        if self._states.hang_up():
            self._leaving = [waiter]
            Deferred.fromCoroutine(self._leave())
        elif self._leaving is None:
            waiter.callback(None)
        else:
            self._leaving.append(waiter)
        return waiter

    def _completed(self, settings: CallSettings) -> CallSettings:
        """Settings with the halves they take over from those in force (D-32)."""
        return settings.over(self._settings) if self._settings is not None else settings

    def _prepared(self, settings: CallSettings) -> Conversation | None:
        """The conversation these settings ask for, checked and built but not started."""
        if not settings.has_audio:
            return None
        if settings.listening is None and settings.speaking is None:
            raise BadRequest("STT configuration is required when audio=true")
        try:
            return Conversation(self._world, settings, self._outlet, self.figures)
        except WaavError as error:
            raise _explained("Failed to create voice manager", error) from error

    def _begun(self) -> bool:
        try:
            return self._states.begin()
        except NoTransition:
            raise RuntimeError(f"a session cannot be configured while {self.state}") from None

    async def _replace(
        self, settings: CallSettings, conversation: Conversation | None, was_ready: bool
    ) -> None:
        try:
            if was_ready:
                await self._end_conversation(at_once=False)
                self._states.stopped()
            if conversation is not None:
                await self._start(conversation)
            if self.state != "configuring":
                # Whoever was told something while it started has hung up.
                if conversation is not None:
                    await conversation.stop(at_once=True)
                raise CancelledError()
        except BaseException:
            self._settings = None
            self._arriving = None
            self._states.failed()
            raise
        self._conversation = conversation
        self._settings = settings
        self._arriving = None
        self._states.became_ready()
        self._log.info("{stream_id} ready: {what}", stream_id=settings.stream_id, what=settings)

    async def _start(self, conversation: Conversation) -> None:
        """Start it within the limit, or leave nothing of it behind (D-31, S-VM-01)."""
        limit_s = self._world.limits.ready_s
        starting = Deferred.fromCoroutine(conversation.start())
        starting.addTimeout(limit_s, self._world.clock)
        try:
            await starting
        except TimeoutError:
            await conversation.stop(at_once=True)
            raise ProviderTimeout(conversation.providers, NOT_READY) from None
        except WaavError as error:
            await conversation.stop(at_once=True)
            raise _explained("Failed to start voice manager", error) from error
        except BaseException:
            await conversation.stop(at_once=True)
            raise

    async def _end_conversation(self, at_once: bool) -> None:
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            await conversation.stop(at_once)

    async def _leave(self) -> None:
        """End whatever there is; each step is taken whatever became of the others (S-VM-04)."""
        if self._arriving is not None:
            await _cancelled(self._arriving)
        await self._end_conversation(at_once=True)
        self._states.ended()
        leaving, self._leaving = self._leaving or [], None
        for waiter in leaving:
            waiter.callback(None)

    def _refuse(self, message: str) -> None:
        self.figures.add("errors")
        self._outlet.error(message, "audio_disabled")


def _explained(what: str, error: WaavError) -> WaavError:
    """The same error, its text beginning with what failed (contract.md 3.4)."""
    error.message = f"{what}: {error.message}"
    error.args = (error.message,)
    return error


def _failed() -> Deferred[None]:
    """A Deferred that fails with the exception being handled."""
    failed: Deferred[None] = Deferred()
    failed.errback(Failure())
    return failed


async def _cancelled(task: Deferred[None]) -> None:
    """Cancel ``task`` and wait for its end; whoever else waits for it is told as well."""
    ended: Deferred[None] = Deferred()

    def tell(result: object) -> object:
        ended.callback(None)
        return result

    task.addBoth(tell)
    task.cancel()
    await ended
