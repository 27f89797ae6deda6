"""Model files inside installed packages: whether they are the ones that were tested with this gateway.

A package index could hand out another file under the same version, and a disk can lose bytes; a model that loads
all the same would only recognise or speak worse. Reading Moonshine's 44 MB took 30 to 60 ms, Hibari's 12 MB 7 to
15 ms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from waav.errors import ModelMissing
from waav.models.fetch import digest


@dataclass(frozen=True, slots=True)
class Packaged:
    """Model files of one package.

    Args:
        package: its name, as pip knows it.
        files: SHA-256 by file name.
    """

    package: str
    version: str
    files: Mapping[str, str]

    def verify(self, where: Path) -> None:
        """See whether the files in ``where`` are the pinned ones; blocks.

        Raises:
            ModelMissing: one is not there, or has another content.
        """
        for name, sha256 in self.files.items():
            path = where / name
            if not path.is_file():
                problem = "is not there"
            elif digest(path) != sha256:
                problem = "is damaged or of another version (its SHA-256 is not the pinned one)"
            else:
                continue
            raise ModelMissing(
                f"{path} {problem}; run pip install --force-reinstall --no-deps"
                f" {self.package}=={self.version}"
            )


MOONSHINE: Final = Packaged(
    "moonshine-voice",
    "0.1.0",
    {
        "encoder_model.ort": "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
        "decoder_model_merged.ort": "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
        "tokenizer.bin": "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
    },
)
HIBARI: Final = Packaged(
    "hibari-tts",
    "0.2.1",
    {
        "hibari.onnx": "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
        "oov.onnx": "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
        "tagger.json.gz": "d2da7502284bbbe45d49e0b7ce3ce67bdab82254150f4317f1b8559b4d38d0eb",
    },
)
