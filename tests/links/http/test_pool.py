"""Connections to one vendor host, on a clock, without a network."""

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.links.http.test_reading import Wire
from waav.links.http.connection import HttpConnection
from waav.links.http.pool import REOPEN_S, SHORT_S, WARM_FAILURES, Pool
from waav.links.settings import LinkSettings


class Quiet(Wire):
    """A transport that tells the end as soon as it is broken."""

    def __init__(self, connection: HttpConnection) -> None:
        super().__init__()
        self.connection = connection

    def abortConnection(self) -> None:
        super().abortConnection()
        self.connection.connectionLost(Failure(ConnectionDone()))


class PoolCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.dials: list[tuple[Factory, Deferred[Any]]] = []
        self.cancelled: list[int] = []
        self.refuses = False
        self.refused = 0
        self.make()

    def make(self, **settings: Any) -> None:
        self.pool = Pool(self.clock, LinkSettings(**settings), self.dial)

    def dial(self, factory: Factory) -> Deferred[Any]:
        if self.refuses:
            self.refused += 1
            return fail(ConnectionRefusedError())
        number = len(self.dials)
        dialling: Deferred[Any] = Deferred(lambda _: self.cancelled.append(number))
        self.dials.append((factory, dialling))
        return dialling

    def connected(self, number: int = -1) -> HttpConnection:
        """A dial succeeds."""
        factory, dialling = self.dials[number]
        connection: Any = factory.buildProtocol(None)
        connection.makeConnection(Quiet(connection))
        dialling.callback(connection)
        return connection

    def hang_up(self, connection: HttpConnection) -> None:
        connection.connectionLost(Failure(ConnectionDone()))

    def answer(self, connection: HttpConnection) -> None:
        """A request is made and answered."""

        class Reads:
            def head(self, status: int, headers: dict[str, str]) -> None: ...
            def body(self, data: bytes) -> None: ...
            def ended(self, is_whole: bool) -> None: ...
            def lost(self, reason: Any, has_begun: bool) -> None: ...

        connection.ask(b"?", Reads())
        connection.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


class KeepTests(PoolCase):
    def test_the_freshest_first(self) -> None:
        """A request gets the connection used last: the least likely to have been closed behind our back."""
        claims = [self.pool.connect() for _ in range(2)]
        first, second = self.connected(0), self.connected(1)
        self.assertEqual([self.successResultOf(one) for one in claims], [first, second])
        self.answer(first)
        self.answer(second)
        self.assertIs(self.pool.take(), second)
        self.assertIs(self.pool.take(), first)
        self.assertIsNone(self.pool.take())
        figures = self.pool.figures
        self.assertEqual((figures.connections_opened, figures.connections_reused), (2, 2))

    def test_no_more_idle_ones_than_allowed(self) -> None:
        """After a rush the connections that are too many are closed. (S-REQ-01)"""
        self.make(connections=1)
        for _ in range(3):
            self.pool.connect()
        made = [self.connected(number) for number in range(3)]
        for connection in made:
            self.answer(connection)
        self.assertEqual([one.is_open for one in made], [True, False, False])
        self.assertEqual(self.pool.figures.connections_idle, 1)

    def test_unused_for_long(self) -> None:
        """A connection that nobody used for ``keep_s`` is closed, a younger one stays; one timer watches all."""
        self.make(keep_s=100.0)
        for _ in range(2):
            self.pool.connect()
        old, young = self.connected(0), self.connected(1)
        self.answer(old)
        self.clock.advance(60)
        self.answer(young)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(40)
        self.assertEqual((old.is_open, young.is_open), (False, True))
        self.clock.advance(60)
        self.assertFalse(young.is_open)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closed_by_the_vendor(self) -> None:
        """A connection that the vendor closed is not handed out."""
        self.pool.connect()
        connection = self.connected()
        self.answer(connection)
        self.hang_up(connection)
        self.assertIsNone(self.pool.take())

    def test_turns(self) -> None:
        """What is under way is capacity less what is free; the rest waits in order. (S-REQ-01, S-REQ-07)"""
        self.make(requests=2)
        turns = [self.pool.turns.acquire() for _ in range(5)]
        figures = self.pool.figures
        self.assertEqual((figures.in_flight, figures.waiting), (2, 3))
        self.pool.turns.release()
        self.assertEqual([turn.called for turn in turns], [True, True, True, False, False])
        figures = self.pool.figures
        self.assertEqual((figures.in_flight, figures.waiting), (2, 2))
        for _ in range(4):
            self.pool.turns.release()
        self.assertEqual((self.pool.figures.in_flight, self.pool.is_busy), (0, False))

    def test_giving_up_while_dialling(self) -> None:
        """A request that is given up takes its dial with it; a connection that comes all the same is closed."""
        claim = self.pool.connect()
        claim.addErrback(lambda _: None)
        claim.cancel()
        self.assertEqual(self.cancelled, [0])
        claim = self.pool.connect()
        claim.addErrback(lambda _: None)
        self.dials[-1][1]._canceller = lambda _: self.connected()
        claim.cancel()
        self.assertIsNone(self.pool.take())

    def test_stop(self) -> None:
        """Stopping closes what is idle, what is used and what is being made, and opens nothing new."""
        self.pool.keep_warm(2)
        idle = self.connected(0)
        self.pool.connect()
        used = self.connected(1)
        stopped = self.pool.stop()
        self.successResultOf(stopped)
        self.assertEqual((idle.is_open, used.is_open), (False, False))
        self.assertEqual(self.cancelled, [2])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.successResultOf(self.pool.stop())


class WarmTests(PoolCase):
    def test_open_before_first_use(self) -> None:
        """The first request finds a connection, and while it is used another one is opened. (F-268)"""
        self.pool.keep_warm(1)
        warm = self.connected()
        self.assertIs(self.pool.take(), warm)
        self.assertEqual(len(self.dials), 2)
        self.assertEqual(self.pool.figures.connections_reused, 1)

    def test_nothing_is_said_on_it(self) -> None:
        """A warm connection costs the vendor a connection, not a request."""
        self.pool.keep_warm(1)
        connection: Any = self.connected()
        self.clock.advance(200)
        self.assertEqual(connection.transport.value(), b"")

    def test_a_request_that_comes_first(self) -> None:
        """A request that comes while the warm connection is being opened waits for it instead of for a second one."""
        self.pool.expect()
        claim = self.pool.connect()
        self.assertEqual(len(self.dials), 1)
        connection = self.connected()
        self.assertIs(self.successResultOf(claim), connection)

    def test_expecting_a_request(self) -> None:
        """A call that is set up has one connection opened, and none if there is one. (F-268)"""
        self.pool.expect()
        self.pool.expect()
        self.assertEqual(len(self.dials), 1)
        self.connected()
        self.pool.expect()
        self.assertEqual(len(self.dials), 1)

    def test_off(self) -> None:
        """With ``warmup: off`` nothing is opened before somebody asks."""
        self.make(warmup="off")
        self.pool.expect()
        self.assertEqual(self.dials, [])

    def test_closed_by_the_vendor(self) -> None:
        """A warm connection that the vendor closed after a while is opened again at once."""
        self.pool.keep_warm(1)
        warm = self.connected()
        self.clock.advance(SHORT_S)
        self.hang_up(warm)
        self.assertEqual(len(self.dials), 2)

    def test_as_many_as_asked(self) -> None:
        """``warm`` connections are opened, but no more than may be idle."""
        self.make(connections=3)
        self.pool.keep_warm(16)
        self.assertEqual(len(self.dials), 3)
        for number in range(3):
            self.connected(number)
        self.assertEqual((self.pool.figures.connections_idle, len(self.dials)), (3, 3))

    def test_a_vendor_that_is_not_there(self) -> None:
        """It is tried ten times with growing waits, then not any more until somebody wants it. (F-268)"""
        self.refuses = True
        self.pool.keep_warm(1)
        first, most = REOPEN_S
        waits = []
        while self.clock.getDelayedCalls():
            (call,) = self.clock.getDelayedCalls()
            waits.append(call.getTime() - self.clock.seconds())
            self.clock.advance(waits[-1])
        self.assertEqual(self.refused, WARM_FAILURES)
        self.assertEqual(waits[:3], [first, 2 * first, 4 * first])
        self.assertEqual(max(waits), most)
        self.refuses = False
        self.assertIsNone(self.pool.take())
        self.pool.connect()
        self.assertEqual(len(self.dials), 2)

    def test_a_vendor_that_does_not_want_it(self) -> None:
        """A vendor that closes unused connections at once is not dialled in a circle."""
        self.pool.keep_warm(1)
        for _ in range(WARM_FAILURES - 1):
            self.hang_up(self.connected())
            (call,) = self.clock.getDelayedCalls()[-1:]
            self.clock.advance(call.getTime() - self.clock.seconds())
        self.hang_up(self.connected())
        self.clock.advance(10000)
        self.assertEqual(len(self.dials), WARM_FAILURES)

    def test_failures_that_are_over(self) -> None:
        """A connection that lasts ends the counting of failures, whoever closes it in the end."""
        for ends in (lambda warm: self.hang_up(warm), lambda warm: self.clock.advance(1000)):
            self.setUp()
            self.refuses = True
            self.pool.keep_warm(1)
            self.refuses = False
            self.clock.advance(REOPEN_S[0])
            warm = self.connected()
            self.clock.advance(SHORT_S)
            ends(warm)
            self.assertEqual(len(self.dials), 2)

    def test_the_request_learns_why(self) -> None:
        """A warm-up that fails while a request waits for it is that request's failure."""
        self.pool.expect()
        claim = self.pool.connect()
        self.dials[0][1].errback(ConnectionRefusedError())
        self.failureResultOf(claim, ConnectionRefusedError)
