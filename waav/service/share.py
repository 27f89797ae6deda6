"""What a worker has instead of what a gateway of one process has to itself."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.protocols.tls import TLSMemoryBIOFactory

from waav.cache.settings import CacheSettings
from waav.config.load import Config
from waav.gateway.admission.live import LiveConnections
from waav.gateway.admission.shared import Board, SharedLimiter, SharedMemory, SharedSlots
from waav.gateway.admission.turnstile import Turnstile
from waav.gateway.settings import SecuritySettings, ServerSettings
from waav.net.reactor import Native, loop_of
from waav.service.parts import Listener, endpoints

DIVIDED: Final = (
    ("links", "connections"),
    ("links", "requests"),
    ("models", "threads"),
    ("models", "queue"),
)
"""Limits that are for the whole gateway: each worker gets its part, and one at least."""


def part(total: int, workers: int, number: int) -> int:
    """A worker's part of a limit."""
    return max(1, total // workers + (number < total % workers))


def divided(config: Config, workers: int, number: int) -> Config:
    """The configuration with one worker's parts of the limits that are divided."""
    for section, name in DIVIDED:
        settings = getattr(config, section)
        mine = part(getattr(settings, name), workers, number)
        config = replace(config, **{section: replace(settings, **{name: mine})})
    return config


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a worker is to begin with.

    Args:
        config: packed.
        number: of the worker, from 0.
        workers: how many there are.
        families: of the listening sockets.
        cache_path: where speech is kept if the configuration names no folder.
    """

    config: bytes
    number: int
    workers: int
    families: tuple[int, ...]
    cache_path: str


@dataclass(frozen=True, slots=True)
class InheritedSocket:
    """A listening socket that came with the process."""

    descriptor: int
    family: int


class Adopting(Native):
    """A reactor that listens to nothing new: whatever it is asked to listen to, it takes the socket it was given.

    So endpoints of any kind can be used by several processes with one socket.
    """

    def __init__(self, reactor: Any, handle: InheritedSocket, turnstile: Turnstile) -> None:
        loop = loop_of(reactor)
        assert loop is not None  # waav.cli.worker has installed a reactor that has one
        super().__init__(reactor, loop)
        self._handle = handle
        self._turnstile = turnstile

    def listenTCP(self, port: Any, factory: Any, *more: Any, **named: Any) -> IListeningPort:
        """Accept on the socket."""
        return self._accept(factory)

    def listenUNIX(self, address: Any, factory: Any, *more: Any, **named: Any) -> IListeningPort:
        """Accept on the socket."""
        return self._accept(factory)

    def listenSSL(
        self, port: Any, factory: Any, contextFactory: Any, *more: Any, **named: Any
    ) -> IListeningPort:
        """Accept on the socket, with TLS."""
        return self._accept(TLSMemoryBIOFactory(contextFactory, False, factory))

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        """Accept on the socket, not on the one of that number, which is the supervisor's."""
        return self._accept(factory)

    def _accept(self, factory: IProtocolFactory) -> IListeningPort:
        port = super().adoptStreamPort(self._handle.descriptor, self._handle.family, factory)
        # The port has a copy: with this one open, callers could still connect when nobody accepts any more.
        os.close(self._handle.descriptor)
        port.gate = self._turnstile
        accepting: IListeningPort = port
        return accepting


class Quiet(Listener):
    """Says nothing: the supervisor has said where the gateway listens."""

    def _tell(self, port: IListeningPort) -> None:
        pass


class WorkerShare:
    """A worker's share of a gateway.

    Args:
        reactor: of this worker.
        memory: of all workers.
        number: which worker this is, from 0.
        sockets: to accept on, in the order of the addresses in the configuration.
        cache_path: where all workers keep speech together if the configuration names no folder.
    """

    def __init__(
        self,
        reactor: Any,
        memory: SharedMemory,
        number: int,
        sockets: tuple[InheritedSocket, ...],
        cache_path: str,
    ) -> None:
        self._reactor = reactor
        self.memory = memory
        self.number = number
        self.board = Board(memory, number)
        self._sockets = sockets
        self._cache_path = cache_path

    def restarts(self) -> int:
        """How often workers were started again."""
        return int(self.memory.restarts.sum())

    def slots(self, security: SecuritySettings) -> SharedSlots:
        """Counts connections of all workers."""
        return SharedSlots(
            self.memory,
            self.number,
            self._reactor,
            security.max_websocket_connections,
            security.max_connections_per_ip,
        )

    def limiter(self, security: SecuritySettings) -> SharedLimiter:
        """Counts requests to all workers."""
        return SharedLimiter(
            self.memory,
            self._reactor,
            security.rate_limit_requests_per_second,
            security.rate_limit_burst_size,
        )

    def cache(self, settings: CacheSettings) -> tuple[CacheSettings, int | None]:
        """Where all workers keep speech, and how many entries at most."""
        if settings.path is not None:
            return settings, None
        in_memory = replace(
            settings, path=self._cache_path, max_disk_bytes=settings.max_memory_bytes
        )
        return in_memory, settings.max_entries

    def listeners(
        self, server: ServerSettings, factory: IProtocolFactory, calls: LiveConnections
    ) -> Iterator[Quiet]:
        """What accepts callers."""
        turnstile = Turnstile(self._reactor, self.board, calls)
        for number, handle in enumerate(self._sockets):
            reactor = Adopting(self._reactor, handle, turnstile)
            endpoint, where = list(endpoints(reactor, server))[number]
            yield Quiet(endpoint, factory, where)
