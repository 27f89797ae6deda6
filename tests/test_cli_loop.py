"""Tests for ``waav.cli_loop``."""

import socket
import struct

from twisted.trial.unittest import SynchronousTestCase

from waav.cli_loop import Loop

PIECE = 65536


class LoopTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.loop = Loop()
        self.addCleanup(self.loop.close)
        with socket.create_server(("127.0.0.1", 0)) as port:
            self.peer = socket.create_connection(port.getsockname())
            self.mine, _ = port.accept()
        self.mine.setblocking(False)
        self.addCleanup(self.mine.close)
        self.addCleanup(self.peer.close)
        self.read_bytes = 0
        self.ended_by: str | None = None

    def reset(self) -> None:
        """The peer sends a good deal, and is gone without a goodbye."""
        self.peer.sendall(b"y" * (5 * PIECE))
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.peer.close()

    def read(self) -> None:
        """As Twisted reads: one piece at a time, and no more after an error."""
        try:
            self.read_bytes += len(self.mine.recv(PIECE))
        except OSError as error:
            self.end(type(error).__name__)

    def write(self) -> None:
        try:
            self.mine.send(b"x")
        except OSError as error:
            self.end(type(error).__name__)

    def end(self, how: str) -> None:
        self.ended_by = how
        self.loop.remove_reader(self.mine.fileno())
        self.loop.remove_writer(self.mine.fileno())
        self.loop.stop()

    def run_for(self, seconds: float) -> None:
        timer = self.loop.call_later(seconds, self.loop.stop)
        self.loop.run_forever()
        timer.cancel()

    def test_reset_with_much_unread(self) -> None:
        """A caller who is cut off while more than one read of his audio waits is noticed. (S-LIM-03)"""
        self.loop.add_reader(self.mine.fileno(), self.read)
        self.reset()
        self.run_for(10.0)
        self.assertIn(self.ended_by, ("ConnectionResetError", "BrokenPipeError"))

    def test_writing_after_a_reset(self) -> None:
        """What is written to him then ends the connection, not the writer."""
        self.loop.add_reader(self.mine.fileno(), self.read)
        self.reset()
        self.run_for(0.05)
        self.assertIsNone(self.ended_by)
        self.loop.add_writer(self.mine.fileno(), self.write)
        self.run_for(10.0)
        self.assertIsNotNone(self.ended_by)

    def test_reading_after_a_reset(self) -> None:
        """A reader that stops and begins again after a reset is told of it too."""
        self.loop.add_reader(self.mine.fileno(), self.read)
        self.reset()
        self.run_for(0.05)
        self.loop.remove_reader(self.mine.fileno())
        self.loop.add_reader(self.mine.fileno(), self.read)
        self.run_for(10.0)
        self.assertIsNotNone(self.ended_by)

    def test_nothing_wrong(self) -> None:
        """A connection on which nothing is wrong is left alone, and read when something comes."""
        self.loop.add_reader(self.mine.fileno(), self.read)
        self.run_for(1.1)
        self.peer.sendall(b"abc")
        self.run_for(0.1)
        self.assertEqual((self.read_bytes, self.ended_by), (3, None))
