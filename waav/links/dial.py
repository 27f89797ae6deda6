"""Opens links to vendors: the address in the dialogue's opening decides which kind."""

import time
from collections.abc import Callable, Iterable
from random import random
from typing import Any
from weakref import WeakSet

from twisted.internet.defer import Deferred

from waav.cache.answers import Answers
from waav.links.endpoint import VendorEndpoint
from waav.links.engines.engines import Engines
from waav.links.engines.link import EngineLink
from waav.links.engines.turn_queue import TurnShare
from waav.links.http.exchange import fetch
from waav.links.http.link import HttpLink
from waav.links.http.traffic import TrafficFigures
from waav.links.http.web import Web
from waav.links.link import Link as Link
from waav.links.link import Sink as Sink
from waav.links.settings import LinkSettings
from waav.links.websocket.link import WebSocketLink
from waav.net.tls import SYSTEM, Trust
from waav.speech import wire
from waav.tasks import started


class Dialler:
    """Makes connections to vendors; one per process.

    Args:
        reactor: runs everything.
        settings: limits towards every vendor.
        answers: remembers answers; None: every request is made.
        engines: runs models in this process; None: there are none.
        trust: whose certificates are believed; None: those of the system's authorities.
        random: numbers in [0, 1) for the jitter of waits.
        wall: the wall clock, for dates that vendors send.
    """

    def __init__(
        self,
        reactor: Any,
        settings: LinkSettings,
        answers: Answers | None = None,
        engines: Engines | None = None,
        *,
        trust: Trust | None = None,
        random: Callable[[], float] = random,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._trust = trust or SYSTEM
        self._trust.prepare(reactor)
        self._random = random
        self._wall = wall
        self._links: WeakSet[Any] = WeakSet()
        self._web = Web(reactor, settings, trust=trust, random=random, wall=wall)
        self.answers = answers
        self.engines = engines

    def open(
        self,
        provider: str,
        dialogue: Callable[[], wire.Dialogue],
        sink: Sink,
        *,
        fingerprint: str = "",
        dial_s: float | None = None,
        request_s: float | None = None,
        use_cache: bool = True,
        share: TurnShare = TurnShare(),
    ) -> Deferred[Link]:
        """Begin a conversation.

        Args:
            provider: canonical name of the vendor, for errors and the cache.
            dialogue: makes a new dialogue; called again for each connection that replaces a lost one.
            sink: gets the events, from before this Deferred fires.
            fingerprint: of the credential in use, so that no account hears another's speech from the cache.
            dial_s: limit for getting ready, in place of the configured one.
            request_s: limit for one HTTP request, in place of the configured one.
            use_cache: whether answers may come from, and go to, the cache.
            share: whom it is for, where that decides whose turn it is.

        Returns:
            Fires when the vendor is ready. Fails with a ``WaavError`` that says why not. Cancelling it hangs up.
        """
        try:
            first = dialogue()
        except Exception:
            return _failed()
        scheme = first.opening.url.partition(":")[0]
        if scheme in ("http", "https"):
            self._web.pool(first.opening.url).expect()
            link = HttpLink(
                self._web,
                provider,
                first,
                sink,
                fingerprint=fingerprint,
                request_s=request_s,
                answers=self.answers if use_cache else None,
            )
            return self._ready(link, None)
        if scheme == "engine":
            if self.engines is None:
                raise RuntimeError("this dialler has no engines")
            engine = EngineLink(
                self.engines, provider, first, sink, self._settings.backlog_s, share
            )
            return self._ready(engine, engine.open())
        if scheme not in ("ws", "wss"):
            raise ValueError(f"{provider}: no link for {scheme}: addresses")
        made = [first]
        socket = WebSocketLink(
            self._reactor,
            self._connect,
            provider,
            lambda: made.pop() if made else dialogue(),
            sink,
            self._settings,
            dial_s=dial_s,
            random=self._random,
            wall=self._wall,
        )
        return self._ready(socket, socket.open())

    def _ready(self, link: Any, opening: Any) -> Deferred[Link]:
        self._links.add(link)
        ready: Deferred[Link] = Deferred(lambda _: link.abort())

        def opened(_: None) -> None:
            if not ready.called:
                ready.callback(link)

        def failed(failure: Any) -> None:
            if not ready.called:
                ready.errback(failure)

        if opening is None:
            ready.callback(link)
        else:
            started(opening).addCallbacks(opened, failed)
        return ready

    def keep_warm(self, openings: Iterable[wire.Opening]) -> None:
        """Have connections open before their first use, where conversations that begin so go over HTTP.

        Returns at once. A vendor that cannot be reached just now is tried again later, and in any case when
        somebody wants to talk to him.
        """
        if self._settings.warmup == "off":
            return
        for opening in openings:
            if opening.url.partition(":")[0] in ("http", "https"):
                self._web.pool(opening.url).keep_warm(self._settings.warm)

    def fetch(self, provider: str, request: wire.Request) -> Deferred[bytes]:
        """The body of one small answer (at most 1 MiB), with the same limits and repetitions as any other.

        Fails with a ``ProviderError``.
        """
        return started(fetch(self._web, provider, request))

    @property
    def figures(self) -> dict[str, TrafficFigures]:
        """What happened over HTTP, by vendor host."""
        return self._web.figures

    def stop(self) -> Deferred[None]:
        """Hang up everywhere, close kept connections, end the model threads."""
        return started(self._stop())

    async def _stop(self) -> None:
        for link in list(self._links):
            link.abort()
        if self.answers is not None:
            await self.answers.stop()
        await self._web.stop()
        if self.engines is not None:
            await self.engines.stop()

    def _connect(
        self, factory: Any, host: str, port: int, is_secure: bool, dial_s: float
    ) -> Deferred[Any]:
        endpoint = VendorEndpoint(
            self._reactor, host, port, is_secure=is_secure, dial_s=dial_s, trust=self._trust
        )
        return endpoint.connect(factory)


def _failed() -> Deferred[Link]:
    """The exception being handled, as a Deferred."""
    failed: Deferred[Link] = Deferred()
    failed.errback()
    return failed
