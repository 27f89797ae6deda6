"""A folder in memory that lives as long as the gateway: for what its processes share."""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from twisted.application.service import Service
from twisted.logger import Logger

SHM: Final = Path("/dev/shm")
"""Files here are memory, where there is such a thing."""

_NAME: Final = re.compile(r"waav-[0-9a-f]{32}")


def nearest_to_memory() -> Path:
    """Where temporary files are fastest."""
    return SHM if os.access(SHM, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


class PrivateFolder(Service):
    """Made at start and removed at stop; what a gateway that was killed left behind is removed at the next start.

    Args:
        parent: where to make it.

    Attributes:
        path: where it is, from the start of the service on.
    """

    _log = Logger()

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._lock: int | None = None
        # Nobody can know the name before: in a folder that all may write to he could make it first.
        self.path = parent / f"waav-{token_hex(16)}"

    def startService(self) -> None:
        """Make it, for its owner only, and mark it as in use."""
        super().startService()  # type: ignore[no-untyped-call]
        for left in self._left_over():
            shutil.rmtree(left, ignore_errors=True)
            self._log.info("removed what a gateway that was killed had left in {path}", path=left)
        # Under its name only when it is locked: another gateway that starts now would take it for one left over.
        new = self.path.with_name(f".{self.path.name}")
        new.mkdir(mode=0o700)
        self._lock = os.open(new, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # The system takes the lock away with the last process that has it.
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.rename(self.path)

    def stopService(self) -> Any:
        """Remove it with all that is in it."""
        lock, self._lock = self._lock, None
        if lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(lock)
        return super().stopService()  # type: ignore[no-untyped-call]

    def _left_over(self) -> Iterator[Path]:
        """Folders of ours that nobody uses."""
        for path in self._parent.glob("waav-*"):
            if not _NAME.fullmatch(path.name):
                continue
            try:
                if path.lstat().st_uid != os.geteuid():
                    continue
                descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            except OSError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                yield path
            finally:
                os.close(descriptor)
