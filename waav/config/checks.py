"""Checks of the merged configuration that need more than one option, a file or the network's names."""

import ipaddress
import re
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from OpenSSL import SSL, crypto
from twisted.internet.endpoints import serverFromString

from waav.config.layers import Problem
from waav.errors import BadRequest
from waav.gateway.http.cors import ANY
from waav.gateway.settings import WORKERS_MAX
from waav.links.settings import PRESETS
from waav.ops.cores import usable_cores
from waav.registry import Registry

Values = Mapping[str, Any]
Findings = Iterator[tuple[str, str]]
"""Pairs of an option's path and what is wrong with it."""


def problems_of(values: Values, origins: Mapping[str, str], registry: Registry) -> list[Problem]:
    """Everything wrong with the merged values; the one validation of every way to load."""
    findings = [finding for check in _CHECKS for finding in check(values)]
    findings += _providers(values, registry)
    return [Problem(path, message, origins.get(path, "")) for path, message in findings]


def _host(values: Values) -> Findings:
    host = values["server.host"]
    if values["server.listen"]:
        return
    try:
        addresses(host, values["server.port"])
    except OSError as error:
        yield "server.host", f"{host!r} is no address and no name that resolves ({error.strerror})"
    except UnicodeError:
        yield "server.host", f"{host!r} is no address and no host name"


def addresses(host: str, port: int) -> tuple[str, bool]:
    """The address a host setting means, and whether it is IPv6. Resolves names, so it may block."""
    literal = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    found = socket.getaddrinfo(
        literal, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
    )
    families = sorted(found, key=lambda one: one[0] != socket.AF_INET)
    family, *_, address = families[0]
    return str(address[0]), family == socket.AF_INET6


def _listen(values: Values) -> Findings:
    listen = [("server.listen", text) for text in values["server.listen"]]
    if values["metrics.listen"] is not None:
        listen.append(("metrics.listen", values["metrics.listen"]))
    for path, text in listen:
        try:
            serverFromString(object(), text)
        except Exception as error:
            # Whatever an endpoint parser raises, plugins included, means: not an endpoint.
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            yield path, f"{text!r} is no Twisted endpoint string ({reason})"


def _tls(values: Values) -> Findings:
    paths = {name: values[f"server.tls.{name}"] for name in ("cert_path", "key_path")}
    if not values["server.tls.enabled"]:
        return
    if values["server.listen"]:
        yield "server.tls.enabled", "has no effect on server.listen; write ssl:... endpoints there"
    for name, path in paths.items():
        if path is None:
            yield f"server.tls.{name}", "is needed because server.tls.enabled is true"
    loaded = {}
    loaders: dict[str, Callable[[bytes], Any]] = {
        "cert_path": lambda pem: crypto.load_certificate(crypto.FILETYPE_PEM, pem),
        "key_path": lambda pem: crypto.load_privatekey(crypto.FILETYPE_PEM, pem, b""),
    }
    for name, read in loaders.items():
        if paths[name] is None:
            continue
        try:
            loaded[name] = read(Path(paths[name]).read_bytes())
        except OSError as error:
            yield f"server.tls.{name}", f"cannot read {paths[name]}: {error.strerror}"
        except (crypto.Error, ValueError):
            what = "certificate" if name == "cert_path" else "private key without a password"
            yield f"server.tls.{name}", f"{paths[name]} holds no PEM {what}"
    if len(loaded) == 2:
        yield from _pair(loaded["cert_path"], loaded["key_path"])


def _pair(certificate: crypto.X509, key: crypto.PKey) -> Findings:
    context = SSL.Context(SSL.TLS_METHOD)
    try:
        context.use_certificate(certificate)
        context.use_privatekey(key)
        context.check_privatekey()
    except SSL.Error:
        yield "server.tls.key_path", "is not the key of the certificate in server.tls.cert_path"


def _cache(values: Values) -> Findings:
    if values["cache.path"] is not None and (wrong := _unusable(Path(values["cache.path"]))):
        yield "cache.path", wrong
    if values["models.path"] is not None:
        folder = Path(values["models.path"]).expanduser()
        if folder.exists() and not folder.is_dir():
            yield "models.path", f"{folder} is not a folder"


def _unusable(folder: Path) -> str | None:
    """Why nothing can be written into a folder, which need not exist yet. Leaves nothing behind."""
    folder = folder.expanduser().absolute()
    nearest = next(one for one in (folder, *folder.parents) if one.exists())
    try:
        # Tried, not asked: the superuser is told by access(2) that everything can be written.
        with tempfile.TemporaryDirectory(prefix=".waav-", dir=nearest):
            return None
    except NotADirectoryError:
        return f"{nearest} is not a folder"
    except OSError as error:
        return f"cannot write to {nearest}: {error.strerror}"


def _origins(values: Values) -> Findings:
    listed = values["security.cors_allowed_origins"]
    if ANY in listed and len(listed) > 1:
        yield "security.cors_allowed_origins", "'*' allows every origin: it must stand alone"
    for origin in listed:
        if origin != ANY and not _is_origin(origin):
            yield (
                "security.cors_allowed_origins",
                f"{origin!r} is no origin such as https://example.com",
            )


def _is_origin(text: str) -> bool:
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#\s@,*]+", text, re.IGNORECASE):
        return False
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _proxies(values: Values) -> Findings:
    for text in values["security.trusted_proxies"]:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            yield "security.trusted_proxies", f"{text!r} is no IP address or network"


def _models(values: Values) -> Findings:
    index = values["models.index_url"]
    if index is not None and not re.fullmatch(r"https?://[^\s/]+\S*", index):
        yield "models.index_url", "must be an http or https address"
    source, digest = values["turn_detection.source"], values["turn_detection.sha256"]
    if source is not None and digest is None:
        yield "turn_detection.sha256", "is needed because turn_detection.source is set"
    if digest is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        yield "turn_detection.sha256", "must be 64 hexadecimal digits"


def workers_of(text: str) -> int:
    """What ``server.workers`` means on this machine."""
    return min(usable_cores(), WORKERS_MAX) if text == "auto" else int(text)


def _workers(values: Values) -> Findings:
    """What vendors allow is divided among the workers, and cannot be less than one each."""
    count = workers_of(values["server.workers"])
    requests = values["links.requests"] or PRESETS[values["links.preset"]]["requests"]
    if requests < count:
        yield "links.requests", f"cannot be divided among {count} workers (server.workers)"


_CHECKS: Final[tuple[Callable[[Values], Findings], ...]] = (
    _host,
    _listen,
    _tls,
    _origins,
    _proxies,
    _cache,
    _models,
    _workers,
)


def _providers(values: Values, registry: Registry) -> Findings:
    """The providers named as defaults exist and can do it."""
    for path, verb, able in (
        ("audio.stt_provider", "recognise", registry.listening()),
        ("audio.tts_provider", "synthesise", registry.speaking()),
    ):
        try:
            provider = registry.find(values[path])
        except BadRequest as error:
            yield path, error.message
            continue
        if provider not in able:
            yield path, f"{provider.name} does not {verb} speech"
