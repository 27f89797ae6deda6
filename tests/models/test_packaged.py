"""Models inside packages are the tested ones, or are not used."""

import shutil
from pathlib import Path

from hibari import tts
from moonshine_voice import utils
from twisted.trial.unittest import SynchronousTestCase

from waav.errors import ModelMissing
from waav.models.hibari import Hibari
from waav.models.moonshine import Moonshine
from waav.models.packaged import HIBARI, MOONSHINE, Packaged

PLACES = (
    (MOONSHINE, Path(utils.get_model_path("tiny-en"))),
    (HIBARI, Path(tts.ASSETS)),
)


class PackagedTests(SynchronousTestCase):
    def copied(self, packaged: Packaged, source: Path) -> Path:
        """A copy of the files, free to be damaged."""
        folder = Path(self.mktemp())
        folder.mkdir()
        for name in packaged.files:
            shutil.copy(source / name, folder)
        return folder

    def refused(self, packaged: Packaged, folder: Path) -> str:
        """What the operator reads."""
        error = self.assertRaises(ModelMissing, packaged.verify, folder)
        self.assertIn(f"--no-deps {packaged.package}=={packaged.version}", error.message)
        return str(error.message)

    def test_installed(self) -> None:
        """The packages that this gateway is installed with hold the pinned models."""
        for packaged, folder in PLACES:
            packaged.verify(folder)

    def test_damaged(self) -> None:
        """One wrong byte in any file is found, and the text says which file and what to install again."""
        for packaged, source in PLACES:
            folder = self.copied(packaged, source)
            packaged.verify(folder)
            for name in packaged.files:
                path = folder / name
                content = bytearray(path.read_bytes())
                content[len(content) // 2] ^= 1
                path.write_bytes(content)
                self.assertIn(f"{path} is damaged", self.refused(packaged, folder))
                shutil.copy(source / name, folder)

    def test_missing(self) -> None:
        """So is a file that is gone."""
        for packaged, source in PLACES:
            folder = self.copied(packaged, source)
            name = next(iter(packaged.files))
            (folder / name).unlink()
            self.assertIn(f"{folder / name} is not there", self.refused(packaged, folder))

    def test_before_loading(self) -> None:
        """A model that is not the tested one is not loaded."""
        empty = Path(self.mktemp())
        empty.mkdir()
        self.patch(utils, "get_model_path", lambda name: empty)
        self.patch(tts, "ASSETS", str(empty))
        for load, packaged in ((Moonshine, MOONSHINE), (Hibari, HIBARI)):
            error = self.assertRaises(ModelMissing, load)
            self.assertIn(packaged.package, error.message)
