"""Real speech: Debian's telephone prompts, installed, or fetched once into a folder of our own.

``asterisk-core-sounds-en-wav`` has hundreds of prompts of one human speaker, 8 kHz; ``asterisk-core-sounds-en`` has
the list of what each says. Where they are not installed, apt fetches both without being root and they are unpacked
into ``~/.cache/waav/sounds``.
"""

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

PACKAGES = ("asterisk-core-sounds-en-wav", "asterisk-core-sounds-en")
SOUNDS = Path("usr/share/asterisk/sounds/en_US_f_Allison")
TEXTS = Path("usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")


@cache
def root() -> Path:
    """The folder in which ``SOUNDS`` and ``TEXTS`` are."""
    ours = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "waav" / "sounds"
    for folder in (Path("/"), ours):
        if (folder / SOUNDS).is_dir() and (folder / TEXTS).is_file():
            return folder
    _fetch(ours)
    return ours


def _fetch(folder: Path) -> None:
    """apt with lists and downloads of its own, so that neither root nor an earlier ``apt-get update`` is needed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        lists, archives, unpacked = (Path(work, name) for name in ("lists", "cache", "unpacked"))
        (lists / "partial").mkdir(parents=True)
        (archives / "archives" / "partial").mkdir(parents=True)
        own = [
            "-o",
            f"Dir::State::lists={lists}",
            "-o",
            f"Dir::Cache={archives}",
            "-o",
            "APT::Sandbox::User=",
        ]
        for command in (["update"], ["download", *PACKAGES]):
            done = subprocess.run(
                ["apt-get", "-qq", *own, *command],
                cwd=work,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise RuntimeError(f"apt-get {' '.join(command)} failed: {done.stderr.strip()}")
        for archive in Path(work).glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(archive), str(unpacked)], check=True)
        unpacked.rename(folder)
