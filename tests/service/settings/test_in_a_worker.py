"""The same settings in a gateway that is one of several workers: what is shared comes from elsewhere there."""

import os
import socket
from typing import Any

from tests.service.settings import test_callers, test_server
from tests.service.settings.rig import SettingsCase
from waav.gateway.admission.shared import SharedMemory
from waav.service.share import InheritedSocket, WorkerShare


class WorkerCase(SettingsCase):
    """A gateway that believes to be the first of two workers."""

    def setUp(self) -> None:
        super().setUp()
        self.memory = SharedMemory.make(2)
        self.addCleanup(os.close, self.memory)
        self.share = self.made
        self.kept = self.folder()

    def made(self, reactor: Any) -> WorkerShare:
        """What its supervisor would hand over."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            handle = InheritedSocket(os.dup(listening.fileno()), socket.AF_INET)
        memory = SharedMemory(self.memory, 2)
        share = WorkerShare(reactor, memory, 0, (handle,), str(self.kept))
        share.board.join()
        return share


class SharedSecurityTests(WorkerCase, test_callers.SecurityTests):
    """See there."""


class DrainTests(WorkerCase, test_server.EndTests):
    """See there."""


class SharedCacheTests(WorkerCase):
    """Without a folder of their own workers keep speech together, in files, within the limits for memory."""

    def files(self) -> set[str]:
        """What is kept."""
        return {path.name for path in self.kept.glob("audio/??/*") if path.name[0] != "."}

    async def one_stays(self, settings: str) -> None:
        """Of two speeches the second is kept."""
        gateway = self.start(f"cache: {{{settings}}}")
        await gateway.speak("a")
        await gateway.until(self.files, "nothing is kept")
        first = self.files()
        await gateway.speak("b")
        await gateway.until(lambda: self.files() and not self.files() & first, "both stay")

    async def test_memory(self) -> None:
        """cache.max_memory_bytes: there is room for one speech."""
        await self.one_stays("max_memory_bytes: 10000")

    async def test_entries(self) -> None:
        """cache.max_entries: no more are kept."""
        await self.one_stays("max_entries: 1")

    async def test_path(self) -> None:
        """cache.path: speech is kept there."""
        path = self.folder()
        gateway = self.start(f"cache: {{path: {path}}}")
        await gateway.speak("a")
        await gateway.until(lambda: list(path.glob("audio/??/[!.]*")), "nothing is kept")
        self.assertEqual(self.files(), set())
