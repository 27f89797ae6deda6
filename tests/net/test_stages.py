"""Every event in every stage of a connection, on a loop made of lists: mypy does not see which may follow which."""

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.net.sockets import End
from waav.net.transport import Connection, Stage, log_unhandled


class Turns:
    """The loop: what is to be called soon."""

    def __init__(self) -> None:
        self.soon: list[tuple[Callable[..., object], tuple[object, ...]]] = []

    def call_soon(self, what: Callable[..., object], *args: object) -> None:
        self.soon.append((what, args))

    def turn(self) -> None:
        """Once round."""
        soon, self.soon = self.soon, []
        for what, args in soon:
            what(*args)


class Below:
    """The loop's half of a connection: remembers what it is told."""

    def __init__(self, told: list[str]) -> None:
        self.told = told
        self.unsent = 0
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def writelines(self, data: list[bytes]) -> None:
        self.written += b"".join(data)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def set_write_buffer_limits(self, high: int) -> None:
        self.limit = high

    def set_protocol(self, protocol: object) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        self.told.append("pause reading")

    def resume_reading(self) -> None:
        self.told.append("resume reading")

    def write_eof(self) -> None:
        self.told.append("end of writing")

    def close(self) -> None:
        self.told.append("close")

    def abort(self) -> None:
        self.told.append("abort")


class Source(End):
    """Produces when asked."""

    on_resume: Callable[[], None] | None = None

    def resumeProducing(self) -> None:
        super().resumeProducing()
        if self.on_resume is not None:
            self.on_resume()


@implementer(IHalfCloseableProtocol)
class TalksOn(End):
    """Knows that a peer may have finished before us, and we before him."""

    def readConnectionLost(self) -> None:
        self.told.append("read lost")

    def writeConnectionLost(self) -> None:
        self.told.append("write lost")


class Rig:
    """A connection, and all that is around it."""

    def __init__(self, handle: Any, end: Any = None) -> None:
        self.loop = Turns()
        self.told: list[str] = []
        self.below = Below(self.told)
        self.end = End() if end is None else end
        self.source = Source()
        self.reasons: list[Any] = []
        self.connection = Connection(
            self.loop,  # type: ignore[arg-type]
            handle,
            lambda _: self.end,
            IPv4Address("TCP", "10.0.0.1", 1),
            self.reasons.append,
        )
        self.connection.goodbye = lambda: self.told.append("goodbye")

    @property
    def stage(self) -> str:
        return self.connection._stage.name

    def do(self, event: str) -> None:
        """One event, by name, and what the loop does about it next."""
        connection = self.connection
        match event:
            case "begin":
                connection.connection_made(self.below)
            case "much is unsent":
                self.below.unsent = 99999
                connection.pause_writing()
            case "all is sent":
                self.below.unsent = 0
                connection.resume_writing()
            case "the peer sends no more":
                connection.eof_received()
            case "the loop says it ended":
                connection.connection_lost(None)
            case "close":
                connection.loseConnection()
            case "finish":
                connection.loseWriteConnection()
            case "abort":
                connection.abortConnection()
            case "give up":
                connection.drop()
            case "a producer comes":
                connection.registerProducer(self.source, True)
            case "a producer to pull comes":
                connection.registerProducer(self.source, False)
            case "the producer goes":
                connection.unregisterProducer()
            case "hold":
                connection.pauseProducing()
            case "go on":
                connection.resumeProducing()
            case _:
                raise AssertionError(event)
        self.loop.turn()


PAUSED = ("begin", "a producer comes", "much is unsent")

PATHS: dict[str, tuple[str, ...]] = {
    "NEW": (),
    "OPEN": PAUSED,
    "FINISHING": (*PAUSED, "finish"),
    "FINISHED": (*PAUSED, "finish", "the producer goes", "all is sent"),
    "CLOSING": (*PAUSED, "close"),
    "CLOSED": (*PAUSED, "the producer goes", "close"),
    "DROPPED": (*PAUSED, "the peer sends no more"),
    "ABORTED": (*PAUSED, "abort"),
    "ENDED": (*PAUSED, "the loop says it ended"),
}
"""How to get there; with a producer that waits wherever there may still be one."""

CLOSES = ["goodbye", "close"]

TRANSITIONS: dict[tuple[str, str], tuple[str, list[str]]] = {
    ("OPEN", "finish"): ("FINISHING", []),
    ("OPEN", "close"): ("CLOSING", ["pause reading"]),
    ("OPEN", "give up"): ("DROPPED", ["abort"]),
    ("OPEN", "the peer sends no more"): ("DROPPED", ["abort"]),
    ("OPEN", "abort"): ("ABORTED", ["abort"]),
    ("OPEN", "the loop says it ended"): ("ENDED", []),
    ("OPEN", "hold"): ("OPEN", ["pause reading"]),
    ("FINISHING", "close"): ("CLOSING", ["pause reading"]),
    ("FINISHING", "give up"): ("DROPPED", ["abort"]),
    ("FINISHING", "the peer sends no more"): ("DROPPED", ["abort"]),
    ("FINISHING", "abort"): ("ABORTED", ["abort"]),
    ("FINISHING", "the loop says it ended"): ("ENDED", []),
    ("FINISHING", "hold"): ("FINISHING", ["pause reading"]),
    ("FINISHED", "close"): ("DROPPED", ["abort"]),
    ("FINISHED", "give up"): ("DROPPED", ["abort"]),
    ("FINISHED", "the peer sends no more"): ("DROPPED", ["abort"]),
    ("FINISHED", "abort"): ("ABORTED", ["abort"]),
    ("FINISHED", "the loop says it ended"): ("ENDED", []),
    ("FINISHED", "hold"): ("FINISHED", ["pause reading"]),
    ("CLOSING", "all is sent"): ("CLOSED", CLOSES),
    ("CLOSING", "the producer goes"): ("CLOSED", CLOSES),
    ("CLOSING", "give up"): ("DROPPED", ["abort"]),
    ("CLOSING", "the peer sends no more"): ("DROPPED", ["abort"]),
    ("CLOSING", "abort"): ("ABORTED", ["abort"]),
    ("CLOSING", "the loop says it ended"): ("ENDED", []),
    ("CLOSED", "give up"): ("DROPPED", ["abort"]),
    ("CLOSED", "the peer sends no more"): ("DROPPED", ["abort"]),
    ("CLOSED", "abort"): ("ABORTED", ["abort"]),
    ("CLOSED", "the loop says it ended"): ("ENDED", []),
    ("DROPPED", "abort"): ("ABORTED", ["abort"]),
    ("DROPPED", "the loop says it ended"): ("ENDED", []),
    ("ABORTED", "the loop says it ended"): ("ENDED", []),
}
"""All that leads anywhere, and what the loop is told; everything else changes nothing."""

EVENTS = (
    "finish",
    "close",
    "give up",
    "the peer sends no more",
    "abort",
    "the loop says it ended",
    "all is sent",
    "the producer goes",
    "hold",
    "go on",
)

NEVER = {("NEW", "the loop says it ended"), ("ENDED", "the loop says it ended")}
"""What no loop does."""


class RigCase(SynchronousTestCase):
    def rig(self, *path: str, end: Any = None) -> Rig:
        handle = socket.socket()
        self.addCleanup(handle.close)
        rig = Rig(handle, end)
        for event in path:
            rig.do(event)
        return rig


class StageTests(RigCase):
    """The stages of a connection."""

    def test_what_each_stage_lets_through(self) -> None:
        """The peer's bytes are delivered until we close; ours are sent until that is pointless."""
        found = {}
        for stage, path in PATHS.items():
            rig = self.rig(*path)
            connection = rig.connection
            if stage != "NEW":
                connection.data_received(b"theirs")
            connection.write(b"ours")
            connection.writeSequence([b",", b"ours"])
            found[stage] = (rig.end.data, rig.below.written)
        self.assertEqual(
            found,
            {
                "NEW": (b"", b""),
                "OPEN": (b"theirs", b"ours,ours"),
                "FINISHING": (b"theirs", b"ours,ours"),
                "FINISHED": (b"theirs", b""),
                "CLOSING": (b"", b"ours,ours"),
                "CLOSED": (b"", b"ours,ours"),
                "DROPPED": (b"", b""),
                "ABORTED": (b"", b""),
                "ENDED": (b"", b""),
            },
        )

    def test_what_twisted_sees(self) -> None:
        """Protocols of Twisted look at three facts; each stage has an answer."""
        for stage, path in PATHS.items():
            connection = self.rig(*path).connection
            self.assertEqual(connection.connected, stage not in ("NEW", "ENDED"), stage)
            self.assertEqual(connection.disconnecting, connection._stage >= Stage.CLOSING, stage)
            self.assertEqual(connection.disconnected, stage == "ENDED", stage)

    def test_why_it_ended(self) -> None:
        """A protocol is told that it was cut off only where we did that ourselves."""
        for stage, path in PATHS.items():
            if stage in ("NEW", "ENDED"):
                continue
            rig = self.rig(*path)
            rig.do("the loop says it ended")
            expected = "ConnectionAborted" if stage == "ABORTED" else "ConnectionDone"
            self.assertEqual(rig.end.ended_by, expected, stage)
            self.assertEqual([type(one.value).__name__ for one in rig.reasons], [expected], stage)

    def test_an_end_leaves_nothing(self) -> None:
        """A connection that ended holds neither what was above it nor what was below."""
        for stage, path in PATHS.items():
            if stage in ("NEW", "ENDED"):
                continue
            rig = self.rig(*path)
            had_producer = rig.connection.producer is not None
            rig.do("the loop says it ended")
            connection = rig.connection
            self.assertIs(connection.protocol, None)
            connection.protocol = rig.end
            self.assertIs(connection.protocol, None)
            for name in ("producer", "goodbye", "_transport", "_gone"):
                self.assertIs(getattr(connection, name), None, (stage, name))
            self.assertEqual(rig.source.told[-1:] == ["stop"], had_producer, stage)

    def test_nothing_written_means_no_wait(self) -> None:
        """Without a producer a connection is closed, or finished, at once."""
        for producers in ((), ("a producer comes",)):
            rig = self.rig("begin", *producers, "close")
            self.assertEqual((rig.stage, rig.told[1:]), ("CLOSED", CLOSES))
        rig = self.rig("begin", "finish")
        self.assertEqual((rig.stage, rig.told), ("FINISHED", ["end of writing"]))
        rig = self.rig("begin")
        rig.connection.stopProducing()
        self.assertEqual((rig.stage, rig.told[1:]), ("CLOSED", CLOSES))

    def test_a_producer_holds_up_the_end_of_writing(self) -> None:
        """One half of a connection is finished only when nobody produces for it any longer."""
        rig = self.rig("begin", "a producer comes", "finish")
        self.assertEqual(rig.stage, "FINISHING")
        rig.do("the producer goes")
        self.assertEqual((rig.stage, rig.told), ("FINISHED", ["end of writing"]))
        rig = self.rig(*PAUSED, "finish", "the producer goes")
        self.assertEqual((rig.stage, rig.below.limit), ("FINISHING", 0))
        rig.do("all is sent")
        self.assertEqual((rig.stage, rig.told), ("FINISHED", ["end of writing"]))

    def test_who_talks_on(self) -> None:
        """A protocol that knows of halves hears of each, and goes on; but not once it has closed."""
        rig = self.rig("begin", end=TalksOn())
        rig.do("the peer sends no more")
        rig.do("finish")
        self.assertEqual((rig.stage, rig.end.told), ("FINISHED", ["read lost", "write lost"]))
        rig = self.rig(*PAUSED, "close", "the peer sends no more", end=TalksOn())
        self.assertEqual((rig.stage, rig.end.told), ("DROPPED", []))

    def test_a_goodbye_is_said_once(self) -> None:
        """A producer that says the rest and goes, while that is asked of it, does not close twice."""
        for kind in ("a producer to pull comes", "a producer comes"):
            rig = self.rig("begin", "much is unsent", kind, "close")
            rig.source.on_resume = rig.connection.unregisterProducer
            rig.do("all is sent")
            self.assertEqual((rig.stage, rig.told[1:]), ("CLOSED", CLOSES), kind)

    def test_a_system_that_knows_of_the_reset(self) -> None:
        """A socket that the peer has reset can still be asked, told and broken off."""
        rig = self.rig("begin")
        rig.connection.getHandle().close()
        rig.connection.setTcpNoDelay(True)
        rig.connection.setTcpKeepAlive(True)
        rig.do("abort")
        self.assertEqual((rig.stage, rig.told), ("ABORTED", ["abort"]))
        self.assertEqual(rig.connection.getPeer().host, "10.0.0.1")  # type: ignore[union-attr]

    def test_a_socket_that_was_reset_before_it_began(self) -> None:
        """A caller who is gone before we look at him has an address all the same."""
        for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            handle = socket.socket(family)
            handle.close()
            address: Any = Rig(handle).connection.getHost()
            self.assertEqual((address.host, address.port), (host, 0))


def _stage_test(stage: str, event: str) -> None:
    """Add the test for one event in one stage."""
    after, told = TRANSITIONS.get((stage, event), (stage, []))

    def test(self: StageTests) -> None:
        rig = self.rig(*PATHS[stage])
        self.assertEqual(rig.stage, stage)
        rig.told.clear()
        rig.do(event)
        self.assertEqual((rig.stage, rig.told), (after, told))

    outcome = f"leads to {after}" if (stage, event) in TRANSITIONS else "changes nothing"
    test.__doc__ = f"{event} while {stage} {outcome}."
    test.__name__ = f"test_{event.replace(' ', '_')}_while_{stage}"
    setattr(StageTests, test.__name__, test)


for _stage in PATHS:
    for _event in EVENTS:
        if (_stage, _event) not in NEVER:
            _stage_test(_stage, _event)


class ReadingTests(RigCase):
    """What becomes of the peer's bytes."""

    def reading(self, rig: Rig) -> str:
        return rig.connection._intake.name

    def test_holding(self) -> None:
        """The loop is told once to stop and once to go on, however often a protocol says so."""
        rig = self.rig("begin", "go on", "hold", "hold")
        self.assertEqual((self.reading(rig), rig.told), ("HELD", ["pause reading"]))
        rig.told.clear()
        rig.do("go on")
        rig.do("go on")
        self.assertEqual((self.reading(rig), rig.told), ("FLOWS", ["resume reading"]))

    def early(self) -> Rig:
        """A protocol that holds its peer before the loop has begun to read."""
        rig = self.rig()
        rig.end.on_made = lambda: rig.connection.pauseProducing()
        rig.connection.connection_made(rig.below)
        self.assertEqual(self.reading(rig), "KEPT")
        rig.told.clear()
        return rig

    def test_a_loop_that_reads_at_once(self) -> None:
        """What uvloop reads though it was told not to is kept, and delivered in order when it is wanted."""
        rig = self.early()
        rig.connection.data_received(b"at ")
        self.assertEqual(rig.told, ["pause reading"])  # again, now that the loop listens
        rig.connection.data_received(b"once")
        rig.do("hold")
        self.assertEqual((self.reading(rig), rig.end.data), ("KEPT", b""))
        rig.told.clear()
        rig.do("go on")
        self.assertEqual((self.reading(rig), rig.told), ("FLOWS", ["resume reading"]))
        rig.connection.data_received(b", and later")
        self.assertEqual(rig.end.data, b"at once, and later")

    def test_nothing_came_early(self) -> None:
        """The loop is told again when it listens; the protocol is not given an empty piece."""
        rig = self.early()
        rig.loop.turn()
        self.assertEqual(rig.told, ["pause reading"])
        pieces: list[bytes] = []
        rig.end.dataReceived = pieces.append
        rig.do("go on")
        self.assertEqual((pieces, self.reading(rig)), ([], "FLOWS"))

    def test_wanted_before_the_loop_is_told(self) -> None:
        """A protocol that goes on at once is not held by what was to be told the loop before."""
        rig = self.early()
        rig.connection.resumeProducing()
        rig.loop.turn()
        self.assertEqual((self.reading(rig), rig.told), ("FLOWS", ["resume reading"]))

    def test_held_again_by_what_was_kept(self) -> None:
        """A protocol that stops again at what was kept for it is not read for."""
        rig = self.early()
        rig.connection.data_received(b"early")
        rig.loop.turn()
        rig.told.clear()
        rig.end.dataReceived = lambda data: rig.connection.pauseProducing()
        rig.do("go on")
        self.assertEqual((self.reading(rig), rig.told), ("HELD", ["pause reading"]))

    def test_what_was_kept_breaks_a_protocol(self) -> None:
        """A protocol that fails on what was kept for it is logged and broken off, as with any other bytes."""
        rig = self.early()
        rig.connection.data_received(b"early")

        def broken(data: bytes) -> None:
            raise RuntimeError("broken")

        rig.end.dataReceived = broken
        rig.told.clear()
        rig.do("go on")
        self.assertEqual((rig.stage, rig.told), ("ABORTED", ["abort"]))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_another_protocol_takes_over(self) -> None:
        """What was kept goes to the protocol that is there when it is wanted."""
        rig = self.early()
        rig.connection.data_received(b"early")
        second = End()
        rig.connection.protocol = second
        rig.connection.data_received(b"!")
        rig.do("go on")
        self.assertEqual((rig.end.data, second.data), (b"", b"early!"))

    def test_closing_forgets_what_was_kept(self) -> None:
        """Nothing is delivered to a protocol that has closed, or cut, its connection."""
        for event in ("close", "abort"):
            rig = self.early()
            rig.connection.data_received(b"early")
            rig.told.clear()
            rig.do(event)
            rig.do("go on")
            rig.connection.data_received(b"late")
            expected = ["abort"] if event == "abort" else ["pause reading", *CLOSES]
            self.assertEqual((rig.end.data, rig.told), (b"", expected), event)
            rig.do("the loop says it ended")
            self.assertEqual(rig.connection._kept, b"")

    def test_holding_and_closing_at_once(self) -> None:
        """A protocol that holds its peer and closes before the loop has begun to read is given nothing."""
        for event in ("close", "abort"):
            rig = self.rig()

            def made(rig: Rig = rig, event: str = event) -> None:
                rig.connection.pauseProducing()
                rig.do(event)

            rig.end.on_made = made
            rig.do("begin")
            rig.connection.data_received(b"early")
            self.assertEqual((self.reading(rig), rig.connection._kept), ("HELD", b""), event)

    def test_a_protocol_for_the_last_moments(self) -> None:
        """Who takes a connection over that is being closed gets its end, but no bytes."""
        rig = self.rig(*PAUSED, "close")
        second = End()
        rig.connection.protocol = second
        rig.connection.data_received(b"late")
        rig.do("the loop says it ended")
        self.assertEqual((second.data, second.ended_by), (b"", "ConnectionDone"))


class FeedingTests(RigCase):
    """Who is asked for more to be sent."""

    def feeding(self, rig: Rig) -> str:
        return rig.connection._feeding.name

    def test_pushing(self) -> None:
        """A producer is stopped and let go as often as there is much unsent, and told each once."""
        rig = self.rig("begin", "a producer comes")
        self.assertEqual(self.feeding(rig), "PUSHES")
        for _ in range(2):
            rig.do("much is unsent")
            self.assertEqual(self.feeding(rig), "PAUSED")
            rig.do("all is sent")
            self.assertEqual(self.feeding(rig), "PUSHES")
        self.assertEqual(rig.source.told, ["pause", "resume"] * 2)
        rig.do("the producer goes")
        self.assertEqual(self.feeding(rig), "NOBODY")
        rig.do("much is unsent")
        rig.do("all is sent")
        self.assertEqual(rig.source.told, ["pause", "resume"] * 2)

    def test_coming_late(self) -> None:
        """A producer that comes when much is unsent waits; one to be pulled is not pulled."""
        rig = self.rig("begin", "much is unsent", "a producer comes")
        self.assertEqual((self.feeding(rig), rig.source.told), ("PAUSED", ["pause"]))
        rig = self.rig("begin", "much is unsent", "a producer to pull comes")
        self.assertEqual((self.feeding(rig), rig.source.told), ("PULLED", []))
        rig.do("all is sent")
        self.assertEqual(rig.source.told[:1], ["resume"])

    def test_pulling(self) -> None:
        """One to be pulled is asked once a turn, but not while much is unsent."""
        rig = self.rig("begin", "a producer to pull comes")
        asked = len(rig.source.told)
        rig.loop.turn()
        self.assertEqual(len(rig.source.told), asked + 1)
        rig.do("much is unsent")
        asked = len(rig.source.told)
        rig.loop.turn()
        self.assertEqual(len(rig.source.told), asked)

    def test_gone_before_it_is_pulled(self) -> None:
        """One that goes between two turns is not pulled again."""
        rig = self.rig("begin", "a producer to pull comes")
        asked = len(rig.source.told)
        rig.connection.unregisterProducer()
        rig.loop.turn()
        self.assertEqual((len(rig.source.told), rig.loop.soon), (asked, []))

    def test_one_after_the_other(self) -> None:
        """One that is followed by another when it is pulled does not have that one pulled twice a turn."""
        rig = self.rig("begin")
        second = Source()

        def follow() -> None:
            rig.connection.unregisterProducer()
            rig.connection.registerProducer(second, False)

        rig.source.on_resume = follow
        rig.connection.registerProducer(rig.source, False)
        asked = len(second.told)
        rig.loop.turn()
        self.assertEqual((len(second.told), len(rig.source.told)), (asked + 1, 1))

    def test_full_again_before_its_turn(self) -> None:
        """A buffer that is full again before the producer was told of the room leaves it waiting."""
        rig = self.rig(*PAUSED)
        rig.connection.resume_writing()
        rig.connection.pause_writing()
        rig.loop.turn()
        self.assertEqual((self.feeding(rig), rig.source.told), ("PAUSED", ["pause"]))

    def test_gone_before_its_turn(self) -> None:
        """A connection that ends before its producer was told of the room stops it, once."""
        rig = self.rig(*PAUSED)
        rig.connection.resume_writing()
        rig.connection.connection_lost(None)
        rig.loop.turn()
        self.assertEqual((self.feeding(rig), rig.source.told), ("NOBODY", ["pause", "stop"]))

    def test_too_late(self) -> None:
        """Who comes after the end is stopped at once."""
        rig = self.rig("begin", "the loop says it ended", "a producer comes")
        self.assertEqual((self.feeding(rig), rig.source.told), ("NOBODY", ["stop"]))
        self.assertIs(rig.connection.producer, None)


class FailureTests(RigCase):
    """Protocols and producers that fail, wherever the connection calls them."""

    def broken(self, *_: object) -> None:
        raise RuntimeError("broken")

    def logged(self, times: int = 1) -> None:
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), times)

    def test_in_the_beginning(self) -> None:
        """A factory that fails is logged, and its caller cut off."""
        rig = self.rig()
        rig.connection._build = self.broken  # type: ignore[assignment]
        rig.do("begin")
        self.assertEqual((rig.stage, rig.told), ("ABORTED", ["abort"]))
        rig.do("the loop says it ended")
        self.logged()

    def test_in_producers(self) -> None:
        """A producer that fails when it is paused, resumed or pulled is logged, and the connection cut."""
        rig = self.rig("begin", "a producer comes")
        rig.source.pauseProducing = self.broken  # type: ignore[method-assign]
        rig.do("much is unsent")
        self.assertEqual(rig.stage, "ABORTED")
        for kind in ("a producer comes", "a producer to pull comes"):
            rig = self.rig("begin", "much is unsent", kind, "close")
            rig.source.on_resume = self.broken
            rig.do("all is sent")
            self.assertEqual((rig.stage, rig.told[1:]), ("ABORTED", ["abort"]), kind)
        self.logged(3)

    def test_in_hearing_of_the_other_half(self) -> None:
        """A protocol that fails when it is told that nothing more is sent is logged, and cut off."""
        end = TalksOn()
        end.writeConnectionLost = self.broken  # type: ignore[method-assign]
        rig = self.rig("begin", "finish", end=end)
        self.assertEqual((rig.stage, rig.told), ("ABORTED", ["end of writing", "abort"]))
        self.logged()

    def test_in_hearing_of_the_end(self) -> None:
        """Each of the three that are told of an end hears of it, though all before it have failed."""
        rig = self.rig("begin", "a producer comes")
        heard: list[object] = []
        rig.connection._gone = lambda reason: (heard.append(reason), self.broken())  # type: ignore[assignment, func-returns-value]
        rig.source.stopProducing = self.broken  # type: ignore[method-assign]
        rig.end.connectionLost = self.broken
        rig.do("the loop says it ended")
        self.assertEqual((rig.stage, len(heard), rig.told), ("ENDED", 1, []))
        self.logged(3)

    def test_what_the_loop_keeps_quiet_about(self) -> None:
        """A protocol's own OSError is told from the network's by where it comes from, and logged."""
        for source, times in ((_raises_here, 1), (_raises_there, 0), (_made_up, 0)):
            rig = self.rig("begin")
            rig.connection.connection_lost(source())
            self.assertEqual(rig.end.ended_by, "ConnectionLost")
            self.assertEqual(len(self.flushLoggedErrors(OSError)), times, source.__name__)

    def test_what_the_loop_reports(self) -> None:
        """What a loop cannot tell anybody else is in the log."""
        rig = self.rig()
        log_unhandled(rig.loop, {"message": "broken", "exception": RuntimeError("broken")})  # type: ignore[arg-type]
        log_unhandled(rig.loop, {"message": "odd"})  # type: ignore[arg-type]
        self.logged()


def _raises_here() -> Exception:
    try:
        raise ConnectionResetError("ours")
    except OSError as error:
        return error


def _raises_there() -> Exception:
    try:
        socket.getaddrinfo(None, None)
    except OSError as error:
        return error
    raise AssertionError("nobody has an address")


def _made_up() -> Exception:
    return ConnectionResetError("without a trace")


class TableTests(SynchronousTestCase):
    def test_every_stage_is_there(self) -> None:
        """A new stage has rows here."""
        self.assertEqual(list(PATHS), [one.name for one in Stage])
