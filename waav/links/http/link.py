"""A dialogue over HTTP: its requests one after the other, answers streamed, answers remembered."""

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger

from waav import errors
from waav.cache.answers import Answer, AnswerRecording, Answers, key_of
from waav.links.figures import LinkFigures
from waav.links.goodbye import Goodbye
from waav.links.http.exchange import Exchange
from waav.links.http.web import Web
from waav.links.link import Sink, Waits, understand
from waav.speech import wire
from waav.tasks import started

REPLAY_BYTES: Final = 16 * 1024
"""Piece in which a remembered answer is given; a vendor's pieces are about as large."""


class Job:
    """One request of a link: asked for, or given from memory. Ends once, delivers nothing after ``drop``."""

    def __init__(
        self,
        web: Web,
        provider: str,
        dialogue: wire.Dialogue,
        hear: Callable[[wire.Event], None],
        request: wire.Request,
        request_s: float | None,
    ) -> None:
        self._web = web
        self._provider = provider
        self._dialogue = dialogue
        self._hear = hear
        self._request = request
        self._request_s = request_s
        self._waits = Waits()
        self._exchange: Exchange | None = None
        self._recording: AnswerRecording | None = None
        self._is_paused = False
        self._resumed: Deferred[None] | None = None
        self.is_dropped = False

    def pause(self) -> None:
        self._is_paused = True
        if self._exchange is not None:
            self._exchange.pause()

    def resume(self) -> None:
        self._is_paused = False
        if self._exchange is not None:
            self._exchange.resume()
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            resumed.callback(None)

    def drop(self) -> None:
        """Stop: the vendor's connection is broken, nothing more is delivered."""
        self.is_dropped = True
        if self._exchange is not None:
            self._exchange.cancel()
        self._waits.stop()

    async def run(self, answers: Answers | None, fingerprint: str) -> None:
        """Returns when the answer was delivered whole.

        Raises:
            ProviderError: it was not.
            CancelledError: after ``drop``.
        """
        if answers is None:
            await self._ask()
            return
        key = key_of(self._provider, self._request, fingerprint)
        found = await self._waits.on(started(answers.find(key)))
        if isinstance(found, Answer):
            await self._give(found)
        else:
            await self._ask_and_record(found)

    async def _ask_and_record(self, recording: AnswerRecording) -> None:
        self._recording = recording
        try:
            await self._ask()
        except errors.ProviderError as error:
            recording.fail(error)
            raise
        finally:
            recording.drop()

    async def _ask(self) -> None:
        self._exchange = Exchange(
            self._web,
            self._provider,
            self._request,
            self._deliver,
            self._web.limits(self._request_s),
            getattr(self._dialogue, "refused", None),
        )
        if self._is_paused:
            self._exchange.pause()
        if self.is_dropped:
            self._exchange.cancel()
        try:
            await self._exchange.run()
        finally:
            # It delivers to us: left in place, both would stay for the garbage collector, with all they hold.
            self._exchange = None

    async def _give(self, answer: Answer) -> None:
        """Deliver a remembered answer as a vendor would: in pieces, stopping while the consumer is full."""
        self._deliver(answer.head)
        for start in range(0, len(answer.body), REPLAY_BYTES):
            await self._room()
            self._deliver(wire.Body(answer.body[start : start + REPLAY_BYTES]))
        await self._room()
        self._deliver(wire.End())

    async def _room(self) -> None:
        # One turn of the reactor per piece: a long answer must not hold up other calls.
        await self._waits.sleep(self._web.reactor, 0)
        while self._is_paused:
            self._resumed = Deferred()
            await self._waits.on(self._resumed)

    def _deliver(self, piece: wire.Incoming) -> None:
        if self.is_dropped:
            return
        events = understand(self._provider, self._dialogue, piece)
        if self._recording is not None:
            self._recording.heard(piece)
            if isinstance(piece, wire.End):
                self._keep(self._recording)  # before anybody hears of the end, and hangs up
        for event in events:
            if not self.is_dropped:
                self._hear(event)

    def _keep(self, recording: AnswerRecording) -> None:
        if self._exchange is not None and self._exchange.is_whole:
            recording.keep()


class HttpLink:
    """Runs a dialogue's requests in order, one at a time.

    ``Clear`` breaks the connection of the request under way and forgets those that wait. A request that fails
    is a ``Failed`` event and the next one goes on; after a rejected key those that wait fail at once.

    Args:
        web: the process's HTTP client.
        fingerprint: of the credential in use, for the cache.
        request_s: limit for one request in place of the operator's.
        answers: the cache; None: every request is made.
    """

    _log = Logger()

    def __init__(
        self,
        web: Web,
        provider: str,
        dialogue: wire.Dialogue,
        sink: Sink,
        *,
        fingerprint: str = "",
        request_s: float | None = None,
        answers: Answers | None = None,
    ) -> None:
        self.figures = LinkFigures(web.reactor)
        self.figures.began()
        self._web = web
        self._provider = provider
        self._dialogue = dialogue
        self._sink = sink
        self._fingerprint = fingerprint
        self._request_s = request_s
        self._answers = answers
        self._queue: deque[wire.Request] = deque()
        self._job: Job | None = None
        self._is_working = False
        self._is_paused = False
        self._is_over = False
        self._is_finishing = False
        self._goodbye = Goodbye(web.reactor, self.abort)

    def send(self, command: wire.Command) -> None:
        """See ``Link.send``."""
        if self._is_over or self._is_finishing:
            return
        if isinstance(command, wire.Clear):
            self._queue.clear()
            self._drop_job()
        if isinstance(command, wire.Finish):
            self._is_finishing = True
        self.figures.said(command)
        for outgoing in self._dialogue.send(command):
            if not isinstance(outgoing, wire.Request):
                raise TypeError(f"{self._provider} put a message on HTTP that is not a request")
            self._queue.append(outgoing)
        self._work_on()

    def send_audio(self, data: bytes) -> None:
        """See ``Link.send_audio``."""
        self.send(wire.Audio(data))

    def pause(self) -> None:
        """See ``Link.pause``."""
        self._is_paused = True
        if self._job is not None:
            self._job.pause()

    def resume(self) -> None:
        """See ``Link.resume``."""
        self._is_paused = False
        if self._job is not None:
            self._job.resume()

    def close(self) -> Deferred[None]:
        """See ``Link.close``."""
        if self._is_over:
            return succeed(None)
        if self._goodbye.is_asked:
            return self._goodbye.wait()
        self.send(wire.Finish())
        waiting = self._goodbye.wait()
        if self._is_working:
            self._goodbye.limit(self._dialogue.opening.finish_s, self.abort)
        else:
            self.abort()
        return waiting

    def abort(self) -> None:
        """See ``Link.abort``."""
        self._is_over = True
        self.figures.ended()
        self._queue.clear()
        self._drop_job()
        self._goodbye.said()

    def _drop_job(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.drop()

    def _work_on(self) -> None:
        if self._is_working or not self._queue:
            return
        self._is_working = True
        working = started(self._work())
        working.addErrback(lambda failure: self._log.failure("an HTTP link broke", failure=failure))

    async def _work(self) -> None:
        try:
            while self._queue:
                await self._one(self._queue.popleft())
        finally:
            self._is_working = False
        if self._is_finishing and self._goodbye.is_asked:
            self.abort()

    async def _one(self, request: wire.Request) -> None:
        job = Job(self._web, self._provider, self._dialogue, self._hear, request, self._request_s)
        self._job = job
        if self._is_paused:
            job.pause()
        answers = self._answers if request.cacheable else None
        try:
            await job.run(answers, self._fingerprint)
        except CancelledError as cancelled:
            if not job.is_dropped:
                raise
            errors.untraced(cancelled)
        except errors.ProviderError as error:
            errors.untraced(error)
            if not self._asks_instead(job, request, error):
                self._failed(job, error)
        except Exception:
            self._log.failure("a request to {provider} failed", provider=self._provider)
            message = f"{self._provider}: the request failed"
            self._failed(job, errors.ProviderError(self._provider, message))
        finally:
            if self._job is job:
                self._job = None

    def _asks_instead(self, job: Job, request: wire.Request, error: errors.ProviderError) -> bool:
        """Whether the dialogue knows another way."""
        instead = getattr(self._dialogue, "instead", None)
        if instead is None or job.is_dropped:
            return False
        again = instead(request, error)
        self._queue.extendleft(reversed(again))
        return bool(again)

    def _hear(self, event: wire.Event) -> None:
        self.figures.heard(event)
        self._sink.event(event)

    def _failed(self, job: Job, error: errors.ProviderError) -> None:
        if job.is_dropped:
            return
        count = 1
        if isinstance(error, errors.ProviderRefused) and error.upstream_status in (401, 403):
            # The same key would be rejected again for each of them.
            count += len(self._queue)
            self._queue.clear()
        self._job = None
        for _ in range(count):
            if self._is_over:
                return
            self._sink.event(wire.Failed(error))
