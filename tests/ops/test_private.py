"""The folder that lives as long as the gateway."""

import fcntl
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from waav.ops import private
from waav.ops.private import PrivateFolder


class PrivateFolderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.parent = Path(self.mktemp())
        self.parent.mkdir()

    def test_nothing_is_left(self) -> None:
        """It is there while the gateway runs, for its owner only, and gone afterwards with all that is in it."""
        folder = PrivateFolder(self.parent)
        folder.startService()
        self.assertEqual(stat.S_IMODE(folder.path.stat().st_mode), 0o700)
        (folder.path / "cache").mkdir()
        (folder.path / "cache" / "a").write_text("speech")
        folder.stopService()
        self.assertEqual(list(self.parent.iterdir()), [])

    def test_two_at_once(self) -> None:
        """A gateway that starts while another does leaves the other's folder alone."""
        one, other = PrivateFolder(self.parent), PrivateFolder(self.parent)
        lock, asked = fcntl.flock, []

        def flock(descriptor: int, how: int) -> None:
            """The other starts when the first has a folder and no lock."""
            asked.append(descriptor)
            if len(asked) == 1:
                other.startService()
            lock(descriptor, how)

        self.patch(private.fcntl, "flock", flock)
        one.startService()
        self.assertEqual(sorted(self.parent.iterdir()), sorted([one.path, other.path]))
        one.stopService()
        other.stopService()
        self.assertEqual(list(self.parent.iterdir()), [])

    def test_what_a_killed_gateway_left(self) -> None:
        """Is removed at the next start; folders of gateways that run, and of others, are not."""
        running = PrivateFolder(self.parent)
        running.startService()
        left = self.parent / f"waav-{'0' * 32}"
        left.mkdir()
        (left / "speech").write_text("x")
        others = [self.parent / "waav-mine", self.parent / "tmp"]
        for other in others:
            other.mkdir()
        folder = PrivateFolder(self.parent)
        folder.startService()
        self.assertEqual(
            sorted(self.parent.iterdir()), sorted([*others, running.path, folder.path])
        )
        folder.stopService()
        running.stopService()
