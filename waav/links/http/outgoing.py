"""The bytes of a request (RFC 9112), ready to be written at once."""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from waav.errors import ProviderError
from waav.speech import wire

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET: Final = re.compile(r"[\x21-\x7e]*")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS: Final = frozenset({"accept-encoding", "connection", "content-length", "transfer-encoding"})
"""Decided here, whatever a provider says: they belong to the connection, not to the request."""
_PORTS: Final = {"http": 80, "https": 443}
_EMPTY_BODIES: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods of which servers expect a length even where there is no body."""


def origin_of(url: str) -> str:
    """``scheme://host:port`` of an address, port always written."""
    parts = urlsplit(url)
    host, port = address_of(parts)
    return f"{parts.scheme}://{_bracketed(host)}:{port}"


def address_of(parts: SplitResult) -> tuple[str, int]:
    """Host and port to connect to."""
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80)


def encode(provider: str, request: wire.Request) -> bytes:
    """Head and body in one piece.

    Audio must not wait for a compressor, so answers are asked for as they are (``identity``).

    Raises:
        ProviderError: something in it would be taken for more than one line. The text names no value.
    """
    parts = urlsplit(request.url)
    target = request.url.partition("://")[2][len(parts.netloc) :].partition("#")[0]
    if not target.startswith("/"):
        target = f"/{target}"
    if not _TOKEN.fullmatch(request.method) or not _TARGET.fullmatch(target):
        raise ProviderError(provider, f"{provider}: the address has characters it may not have")
    given = {name.lower() for name in request.headers}
    lines = [f"{request.method} {target} HTTP/1.1"]
    if "host" not in given:
        lines.append(f"Host: {_host(parts)}")
    for name, value in request.headers.items():
        if name.lower() in _OURS:
            continue
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ProviderError(
                provider, f"{provider}: a header has characters that no header may carry"
            )
        lines.append(f"{name}: {value}")
    if "user-agent" not in given:
        lines.append("User-Agent: waav")
    lines.append("Accept-Encoding: identity")
    if request.body or request.method in _EMPTY_BODIES:
        lines.append(f"Content-Length: {len(request.body)}")
    lines.append("\r\n")
    return "\r\n".join(lines).encode("latin-1") + request.body


def _host(parts: SplitResult) -> str:
    host, port = address_of(parts)
    name = _bracketed(host.encode("idna").decode("ascii"))
    return name if port == _PORTS.get(parts.scheme) else f"{name}:{port}"


def _bracketed(host: str) -> str:
    """As addresses write it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host
