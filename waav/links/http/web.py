"""HTTP/1.1 towards vendors: a pool of connections per vendor host, limits, retries, streamed answers.

Our own client, on llhttp: between a vendor's socket and the dialogue stand two calls and no Deferred, timer or
proxy per piece, of which ``twisted.web.client.Agent`` has several. There is no cookie jar, so no vendor's cookies go
from one tenant to another; answers are asked for uncompressed, and unpacked if they are compressed all the same.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from random import random
from typing import Any, Final
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred, gatherResults

from waav.links.endpoint import VendorEndpoint
from waav.links.http.outgoing import address_of, origin_of
from waav.links.http.pool import Pool
from waav.links.http.traffic import TrafficFigures
from waav.links.settings import LinkSettings
from waav.net.tls import Trust

AUDIO_BYTES: Final = 100 * 1024 * 1024
"""Largest answer that is streamed."""
DOCUMENT_BYTES: Final = 1024 * 1024
"""Largest answer that is collected: lists of voices, tokens."""
ORIGINS: Final = 64
"""Most vendor hosts that are remembered; the least recently used idle one goes, with its connections."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request, in seconds and bytes. Time during which the consumer has us paused does not count."""

    dial_s: float
    first_byte_s: float
    idle_s: float
    request_s: float
    size_bytes: int = AUDIO_BYTES


class Web:
    """The process's HTTP client.

    Args:
        reactor: runs it.
        settings: limits, and how many connections are kept.
        trust: whose certificates are believed; None: those of the system's authorities.
        random: numbers in [0, 1) for jitter.
        wall: the wall clock, for ``Retry-After`` dates.
    """

    def __init__(
        self,
        reactor: Any,
        settings: LinkSettings,
        *,
        trust: Trust | None = None,
        random: Callable[[], float] = random,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.reactor = reactor
        self.settings = settings
        self.random = random
        self.wall = wall
        self._trust = trust
        self._pools: OrderedDict[str, Pool] = OrderedDict()
        self._leaving: list[Deferred[None]] = []

    def pool(self, url: str) -> Pool:
        """The connections to the host of an address."""
        origin = origin_of(url)
        pool = self._pools.get(origin)
        if pool is None:
            self._make_room()
            pool = self._pools[origin] = Pool(self.reactor, self.settings, self._dial_for(url))
        self._pools.move_to_end(origin)
        return pool

    def _make_room(self) -> None:
        for name in [name for name, pool in self._pools.items() if not pool.is_busy]:
            if len(self._pools) < ORIGINS:
                break
            self._leaving = [one for one in self._leaving if not one.called]
            self._leaving.append(self._pools.pop(name).stop())

    def _dial_for(self, url: str) -> Callable[[Any], Deferred[Any]]:
        parts = urlsplit(url)
        host, port = address_of(parts)
        endpoint = VendorEndpoint(
            self.reactor,
            host,
            port,
            is_secure=parts.scheme == "https",
            dial_s=min(self.settings.connect_s, self.settings.dial_s),
            trust=self._trust,
        )
        return endpoint.connect

    @property
    def figures(self) -> dict[str, TrafficFigures]:
        """By ``scheme://host:port``."""
        return {origin: pool.figures for origin, pool in self._pools.items()}

    def limits(self, request_s: float | None = None, size_bytes: int = AUDIO_BYTES) -> Limits:
        """The configured limits, with a call's own overall limit."""
        settings = self.settings
        return Limits(
            settings.dial_s,
            settings.first_byte_s,
            settings.idle_s,
            request_s or settings.request_s,
            size_bytes,
        )

    def stop(self) -> Deferred[Any]:
        """Close all connections; no request may be made afterwards."""
        return gatherResults([*self._leaving, *(pool.stop() for pool in self._pools.values())])
