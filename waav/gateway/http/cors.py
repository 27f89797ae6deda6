"""Which web pages of other origins may use the gateway."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from waav.errors import ConfigError

ANY: Final = "*"
"""In the list of allowed origins: pages of any origin."""

_REQUEST_HEADERS = "authorization, content-type, x-provider-api-key"
_EXPOSED = (
    "x-audio-format, x-sample-rate, x-warnings, content-disposition, content-length, retry-after, "
    "x-ratelimit-after"
)
_MAX_AGE_S = "600"


class Cors:
    """The answer to every ``Origin``.

    Args:
        allowed: origins; ``*`` alone for any; nothing for none but the gateway's own.

    Raises:
        ConfigError: an entry of the list is no origin.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._is_any = ANY in allowed
        self._origins: frozenset[str] | None = None
        if allowed and not self._is_any:
            self._origins = frozenset(_origin(text) for text in allowed)

    def headers(self, origin: str | None) -> list[tuple[str, str]]:
        """What an ordinary answer carries."""
        found = self._allow(origin)
        if any(name == "access-control-allow-origin" for name, _ in found):
            found.append(("access-control-expose-headers", _EXPOSED))
        return found

    def preflight(self, origin: str | None) -> list[tuple[str, str]]:
        """What the answer to ``OPTIONS`` carries."""
        is_closed = self._origins is None and not self._is_any
        methods = "GET, POST, OPTIONS" if is_closed else "GET, POST, PUT, DELETE, OPTIONS"
        return [
            *self._allow(origin),
            ("access-control-allow-methods", methods),
            ("access-control-allow-headers", _REQUEST_HEADERS),
            ("access-control-max-age", _MAX_AGE_S),
        ]

    def may_upgrade(self, origin: str | None, host: str | None) -> bool:
        """Whether a page of that origin may open a WebSocket; browsers leave that question to us.

        Programs that are no browsers name no origin and may. So may pages of the gateway itself, and those of
        listed origins; of any other page nobody knows who has made the user's browser open it.

        Args:
            host: which address of the gateway was asked, as the ``Host`` header has it.
        """
        if origin is None or self._is_any:
            return True
        if self._origins is not None and origin.lower() in self._origins:
            return True
        return host is not None and _is_at(origin, host)

    def _allow(self, origin: str | None) -> list[tuple[str, str]]:
        if self._is_any:
            return [("access-control-allow-origin", "*")]
        if self._origins is None:
            return []
        found = [("vary", "Origin")]
        if origin is not None and origin.lower() in self._origins:
            found.append(("access-control-allow-origin", origin))
            found.append(("access-control-allow-credentials", "true"))
        return found


def _is_at(origin: str, host: str) -> bool:
    """Whether an origin is that of the address. The scheme may differ: a proxy in front may speak TLS for us."""
    try:
        page, here = urlsplit(origin.lower()), urlsplit(f"//{host.lower()}")
        usual = {"http": 80, "https": 443}.get(page.scheme)
        if usual is None or not page.hostname:
            return False
        return (page.hostname, page.port or usual) == (here.hostname, here.port or usual)
    except ValueError:
        return False


def _origin(text: str) -> str:
    origin = text.strip().lower()
    parts = urlsplit(origin)
    if parts.scheme and parts.netloc and origin == f"{parts.scheme}://{parts.netloc}":
        return origin
    raise ConfigError(
        f"{text.strip()!r} is not an origin such as https://example.com",
        "security.cors_allowed_origins",
    )
