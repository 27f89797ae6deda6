from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.voices_rig import CONFIG, Desk, Visitor, desk
from waav.gateway.settings import WebSocketSettings
from waav.gateway.voice.activity import Activity
from waav.speech.wire import Transcript

IDLE = {
    "type": "error",
    "message": "Connection closed due to inactivity",
    "code": "idle",
}
PING = 9
PONG = 10


def advance(visitor: Visitor, seconds: float, step: float = 1.0) -> list[tuple[int, bytes]]:
    """Let time pass; the frames that came meanwhile."""
    frames = []
    for _ in range(round(seconds / step)):
        visitor.desk.clock.advance(step)
        frames += visitor.frames()
    return frames


class IdleTests(SynchronousTestCase):
    def closed_after(self, visitor: Visitor, step: float = 0.1) -> float:
        """Seconds until a close frame comes."""
        for count in range(1, 10_000):
            visitor.desk.clock.advance(step)
            if [each for each in visitor.frames() if each[0] == 8]:
                return count * step
        raise AssertionError("never closed")

    def test_idle(self) -> None:
        """An idle caller is told why and closed with 1000 within the tolerance. (WS-01, F-085)"""
        visitor = desk(idle_s=2.0, ping_s=1000.0).visit()
        visitor.desk.clock.advance(1.7)
        self.assertEqual(visitor.messages(), [])
        visitor.desk.clock.advance(0.6)
        self.assertEqual(visitor.messages(), [IDLE, 1000])

    def test_default_limit(self) -> None:
        """The limit is five minutes, give or take 10 percent. (WS-01, F-085)"""
        self.assertEqual(WebSocketSettings().idle_s, 300.0)
        visitor = desk(ping_s=100_000.0).visit()
        closed_after = self.closed_after(visitor)
        self.assertTrue(269 < closed_after < 331, closed_after)

    def test_spread(self) -> None:
        """Limits of 200 connections spread over most of the range, reproducibly. (WS-02, S-VM-60)"""

        def limits(seed: int) -> list[float]:
            random, clock = Random(seed), Clock()
            never = self.fail
            return [
                Activity(
                    clock, WebSocketSettings(), random, ping=never, idle=never, dead=never
                ).idle_s
                for _ in range(200)
            ]

        drawn = limits(7)
        self.assertTrue(all(270 <= limit <= 330 for limit in drawn))
        self.assertGreater(max(drawn) - min(drawn), 30)
        self.assertEqual(drawn, limits(7))
        self.assertNotEqual(drawn, limits(8))

    def test_connections_draw_their_own(self) -> None:
        """Two connections opened together do not end together. (WS-02, S-VM-60)"""
        stand = desk(ping_s=100_000.0)
        first, second = stand.visit(), stand.visit()
        ended = self.closed_after(first)
        self.assertEqual(second.messages(), [])
        self.assertNotEqual(ended, self.closed_after(second) + ended)

    def test_incoming_counts(self) -> None:
        """Audio, messages, pings and pongs keep a connection open. (F-085)"""
        visitor = desk(idle_s=10.0, ping_s=1000.0).configured()
        for opcode, payload in ((2, b"\0\0"), (1, b"{}"), (9, b""), (10, b"")) * 3:
            visitor.desk.clock.advance(8.0)
            visitor.frame(opcode, payload)
            self.assertNotIn(1000, visitor.messages())

    def test_outgoing_counts(self) -> None:
        """A caller who only listens is not cut off while he is served. (WS-04, D-48, S-VM-61)"""
        visitor = desk(idle_s=10.0, ping_s=1000.0).configured()
        assert visitor.call is not None
        for _ in range(5):
            visitor.desk.clock.advance(8.0)
            visitor.call.outlet.audio([b"\0\0"])
            visitor.desk.clock.advance(8.0)
            visitor.call.outlet.transcript(Transcript("a"))
        self.assertNotIn(1000, visitor.messages())

    def test_no_timer_per_frame(self) -> None:
        """However much passes, one timer watches a connection. (SRV-06)"""
        visitor = Desk().configured()
        before = visitor.desk.clock.getDelayedCalls()
        for _ in range(100):
            visitor.send(b"\0\0")
        self.assertEqual(visitor.desk.clock.getDelayedCalls(), before)
        self.assertEqual(len(before), 1)

    def test_no_timer_is_left(self) -> None:
        """A connection that is gone leaves nothing running. (F-087)"""
        visitor = Desk().configured()
        visitor.leave()
        self.assertEqual(visitor.desk.clock.getDelayedCalls(), [])


class PingTests(SynchronousTestCase):
    def test_interval(self) -> None:
        """The server pings at the interval that is set. (WS-03, S-VM-61)"""
        visitor = desk(ping_s=10.0, missed_pings=100).visit()
        pings = [each for each in advance(visitor, 61, 0.01) if each[0] == PING]
        self.assertEqual(len(pings), 6)

    def test_stopped_by_a_ping(self) -> None:
        """A connection that ends while it is pinged leaves no timer."""
        clock = Clock()
        activity = Activity(
            clock,
            WebSocketSettings(),
            Random(1),
            ping=lambda: activity.stop(),
            idle=self.fail,
            dead=self.fail,
        )
        clock.advance(31)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_answered(self) -> None:
        """A client that answers pings stays open past the idle limit. (WS-03, S-VM-61)"""
        visitor = desk(idle_s=50.0, ping_s=20.0).visit()
        for _ in range(30):
            for opcode, payload in advance(visitor, 10):
                self.assertEqual(opcode, PING)
                visitor.frame(PONG, payload)

    def test_unanswered(self) -> None:
        """A client that misses two pings is closed and cleaned up. (WS-03, S-VM-61)"""
        visitor = desk(ping_s=10.0).visit()
        frames = advance(visitor, 29, 0.01)
        self.assertEqual([opcode for opcode, _ in frames], [PING, PING])
        self.assertEqual(advance(visitor, 2)[0][0], 8)

    def test_one_missed(self) -> None:
        """A client that misses one ping and answers the next is not closed. (WS-03)"""
        visitor = desk(ping_s=10.0).visit()
        for _ in range(5):
            self.assertNotIn(8, [opcode for opcode, _ in advance(visitor, 15)])
            visitor.frame(PONG)

    def test_audio_is_an_answer(self) -> None:
        """A client that sends audio but no pongs is alive. (WS-03)"""
        visitor = desk(ping_s=10.0).configured()
        for _ in range(60):
            visitor.send(b"\0\0")
            self.assertNotIn(8, [opcode for opcode, _ in advance(visitor, 1)])

    def test_not_while_we_do_not_read(self) -> None:
        """While we do not read from a caller, his pongs cannot be missed, nor he be idle. (WS-03)"""
        visitor = desk(idle_s=30.0, ping_s=10.0).visit()
        assert visitor.call is not None
        visitor.call.outlet.congested(True)
        self.assertEqual(advance(visitor, 300), [])
        visitor.call.outlet.congested(False)
        frames = advance(visitor, 25)
        self.assertEqual([opcode for opcode, _ in frames], [PING, PING])

    def test_idle_during_config(self) -> None:
        """A config that takes long does not make its caller dead. (WS-03)"""
        visitor = desk(ping_s=10.0).visit()
        assert visitor.call is not None
        visitor.call.holds_config = True
        visitor.send(CONFIG)
        for _ in range(5):
            for _, payload in advance(visitor, 10):
                visitor.frame(PONG, payload)
        visitor.call.configured()
        self.assertEqual([each["type"] for each in visitor.messages()], ["ready"])
