"""Settings of the speech that is kept."""

from tests.service.settings.rig import Running, SettingsCase
from tests.service.settings.vendor import AUDIO


class MemoryTests(SettingsCase):
    """Each speech is 8000 bytes and the little that is kept with it."""

    async def asked(self, gateway: Running, *texts: str) -> int:
        """How often the vendor has been asked after these texts were wanted, one after the other."""
        for text in texts:
            self.assertEqual((await gateway.speak(text)).body, AUDIO)
        return len(self.vendor.asked)

    async def test_ttl(self) -> None:
        """cache.ttl_seconds: speech older than that is asked for again."""
        gateway = self.start("cache: {ttl_seconds: 10}")
        self.assertEqual(await self.asked(gateway, "a", "a"), 1)
        await gateway.advance(9)
        self.assertEqual(await self.asked(gateway, "a"), 1)
        await gateway.advance(2)
        self.assertEqual(await self.asked(gateway, "a"), 2)

    async def test_memory(self) -> None:
        """cache.max_memory_bytes: there is room for one speech, the second takes the place of the first."""
        gateway = self.start("cache: {max_memory_bytes: 10000}")
        self.assertEqual(await self.asked(gateway, "a", "a", "b", "b", "a"), 3)

    async def test_entries(self) -> None:
        """cache.max_entries: no more are kept; the least recently used goes."""
        gateway = self.start("cache: {max_entries: 2}")
        self.assertEqual(await self.asked(gateway, "a", "b", "a", "c", "a", "b"), 4)

    async def test_largest_entry(self) -> None:
        """cache.max_entry_bytes: larger ones are not kept, and not held in memory for others who want the same."""
        gateway = self.start("cache: {max_entry_bytes: 5000}")
        self.assertEqual(await self.asked(gateway, "a", "a"), 2)
        self.vendor.holds = True
        both = [await gateway.begin_speak("b") for _ in range(2)]
        for number in range(2):
            await gateway.until(lambda number=number: len(self.vendor.waiting) > number)
            await gateway.settle()
            self.vendor.waiting[number].write(AUDIO)
            self.vendor.waiting[number].finish()
        self.assertEqual([(await gateway.end(one)).body for one in both], [AUDIO, AUDIO])


class FileTests(SettingsCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.folder()

    def files(self) -> set[str]:
        """What is kept there."""
        return {path.name for path in self.path.glob("audio/??/*") if path.name[0] != "."}

    async def kept(self, gateway: Running, text: str) -> None:
        """Have it spoken, and wait until it is in a file."""
        before = self.files()
        await gateway.speak(text)
        await gateway.until(lambda: self.files() - before, "nothing is kept")

    async def test_path(self) -> None:
        """cache.path: speech is kept there, and is still there for the next gateway."""
        first = self.start(f"cache: {{path: {self.path}}}")
        await self.kept(first, "hello")
        await first.stop()
        second = self.start(f"cache: {{path: {self.path}}}")
        self.assertEqual((await second.speak("hello")).body, AUDIO)
        self.assertEqual(len(self.vendor.asked), 1)

    async def test_disk(self) -> None:
        """cache.max_disk_bytes: what was not used for longest goes when there is more."""
        gateway = self.start(f"cache: {{path: {self.path}, max_disk_bytes: 9000}}")
        await self.kept(gateway, "a")
        first = self.files()
        await self.kept(gateway, "b")
        await gateway.until(lambda: not self.files() & first, "nothing went")
        self.assertEqual(len(self.files()), 1)

    async def test_sweep(self) -> None:
        """cache.sweep_seconds: that often what is of no use any more is removed, and once at the start."""
        rubbish = self.path / "audio" / "ab" / ("ab" * 32)
        rubbish.parent.mkdir(parents=True)
        rubbish.write_text("rubbish")
        gateway = self.start(f"cache: {{path: {self.path}, sweep_seconds: 20}}")
        await gateway.until(lambda: "1 expired cache entries removed" in self.log(), "no sweep")
        rubbish.write_text("rubbish")
        await gateway.advance(19)
        self.assertTrue(rubbish.exists())
        await gateway.advance(1.1)
        await gateway.until(lambda: not rubbish.exists(), "it was not swept")
