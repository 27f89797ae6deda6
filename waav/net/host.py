"""Connecting to a host by its name: all its addresses are tried, each soon after the one before."""

from typing import Any, Final

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectingCancelledError,
    DNSLookupError,
    NoProtocol,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IDelayedCall,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from waav.net.connect import Attempt

NEXT_S: Final = 0.3
"""How long an address may keep us waiting before the next is tried as well."""


@implementer(IStreamClientEndpoint)
class HostEndpoint:
    """In place of Twisted's ``HostnameEndpoint``, which makes a class and a dozen closures for each connection, and
    leaves them to the garbage collector.

    Factories are not told of their start and stop.

    Args:
        net: a reactor of ``waav.net.reactor.native`` that has an event loop.
        name: of the host, in ASCII, or an address.
        timeout_s: limit for each address.
    """

    def __init__(self, net: Any, name: str, port: int, timeout_s: float) -> None:
        self._net = net
        self._name = name
        self._port = port
        self._timeout_s = timeout_s

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Fires with the protocol of the first address that answers; fails as the last of them did.

        Cancelling it is a ``ConnectingCancelledError``.
        """
        dial = _Dial(self._net, self._name, self._port, self._timeout_s, protocolFactory)
        return dial.start()


@implementer(IResolutionReceiver)
class _Dial:
    """One connection in the making."""

    def __init__(self, net: Any, name: str, port: int, timeout_s: float, factory: Any) -> None:
        self.net = net
        self.timeout_s = timeout_s
        self._name = name
        self._port = port
        self._factory = factory
        self._addresses: list[Any] = []  # not tried yet, the next one first
        self._tries: set[_Try] = set()
        self._next: IDelayedCall | None = None
        self._done: Deferred[IProtocol] | None = None

    def start(self) -> Deferred[IProtocol]:
        done: Deferred[IProtocol] = Deferred(lambda _: self._cancelled())
        self._done = done
        if isIPAddress(self._name):
            self._addresses.append(IPv4Address("TCP", self._name, self._port))
        elif isIPv6Address(self._name):
            self._addresses.append(IPv6Address("TCP", self._name, self._port))
        if self._addresses:
            self._try()
        else:
            self.net.nameResolver.resolveHostName(self, self._name, portNumber=self._port)
        return done

    # The resolver tells.

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """It can be cancelled, in theory."""

    def addressResolved(self, address: Any) -> None:
        if self._done is not None:
            self._addresses.append(address)

    def resolutionComplete(self) -> None:
        if self._addresses:
            self._try()
        else:
            self.fail(Failure(DNSLookupError(f"no address of {self._name} is known")))

    # Tries tell.

    def build(self, peer: Any) -> IProtocol:
        """The protocol of the connection that is there."""
        protocol: IProtocol | None = self._factory.buildProtocol(peer)
        if protocol is None:
            raise NoProtocol
        return protocol

    def won(self, winner: "_Try", protocol: IProtocol) -> None:
        """There is a connection."""
        self._tries.discard(winner)
        done = self._end()
        if done is not None:
            done.callback(protocol)

    def failed(self, loser: "_Try", failure: Failure) -> None:
        """An address does not answer."""
        self._tries.discard(loser)
        if self._addresses:
            self._forget_next()
            self._try()
        elif not self._tries:
            self.fail(failure)

    def fail(self, failure: Failure) -> None:
        """There will be no connection."""
        done = self._end()
        if done is not None:
            done.errback(failure)

    # All in all.

    def _try(self) -> None:
        """The next address, and another after a while."""
        self._next = None
        if not self._addresses:
            return
        one = _Try(self)
        self._tries.add(one)
        one.start(self._addresses.pop(0))
        if self._addresses:
            self._next = self.net.callLater(NEXT_S, self._try)

    def _forget_next(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _cancelled(self) -> None:
        where = HostnameAddress(self._name.encode(), self._port)
        self.fail(Failure(ConnectingCancelledError(where)))

    def _end(self) -> Deferred[IProtocol] | None:
        """Try no more; returns whom to tell."""
        done, self._done = self._done, None
        self._addresses.clear()
        self._forget_next()
        tries, self._tries = self._tries, set()
        for one in tries:
            one.give_up()
        return done


class _Try:
    """One address: what an ``Attempt`` reports to, and the first protocol of its connection."""

    def __init__(self, dial: _Dial) -> None:
        self._dial = dial
        self._attempt: Attempt | None = None
        self._limit: IDelayedCall | None = None
        self._protocol: Any = None

    def start(self, address: IPv4Address | IPv6Address) -> None:
        net = self._dial.net
        self._limit = net.callLater(self._dial.timeout_s, self._late)
        self._attempt = Attempt(self, net.loop)
        self._attempt.reach(address)

    def _late(self) -> None:
        self._limit = None
        if self._attempt is not None:
            self._attempt.failIfNotConnected(TimeoutError())

    def give_up(self) -> None:
        """Another was faster, or nobody wants a connection any more."""
        if self._attempt is not None:
            self._attempt.failIfNotConnected(ConnectingCancelledError(None))

    # The attempt tells.

    def buildProtocol(self, peer: Any) -> Any:
        self._ended()
        try:
            self._protocol = self._dial.build(peer)
        except Exception:
            self._dial.fail(Failure())
            return None
        return self

    def connectionFailed(self, failure: Failure) -> None:
        self._ended()
        self._dial.failed(self, failure)

    def connectionLost(self, reason: Failure) -> None:
        """The protocol was told."""

    def _ended(self) -> None:
        self._attempt = None
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    # The connection tells, once.

    def dataReceived(self, data: bytes) -> None:
        raise AssertionError("the protocol is in place before anything is read")

    def makeConnection(self, transport: Any) -> None:
        """From here on it is the real protocol's."""
        protocol, self._protocol = self._protocol, None
        transport.protocol = protocol
        try:
            protocol.makeConnection(transport)
        except Exception:
            self._dial.fail(Failure())
            raise
        self._dial.won(self, protocol)
