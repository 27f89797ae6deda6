"""Which web pages of other origins may use the gateway."""

from urllib.parse import urlsplit

from waav.errors import ConfigError

_REQUEST_HEADERS = "authorization, content-type, x-provider-api-key"
_EXPOSED = (
    "x-audio-format, x-sample-rate, content-disposition, content-length, retry-after, "
    "x-ratelimit-after"
)
_MAX_AGE_S = "600"


class Cors:
    """The answer to every ``Origin``.

    Args:
        allowed: None for none, ``*`` for any, else a comma list of origins.

    Raises:
        ConfigError: an entry of the list is no origin.
    """

    def __init__(self, allowed: str | None) -> None:
        self._is_any = allowed is not None and allowed.strip() == "*"
        self._origins: frozenset[str] | None = None
        if allowed is not None and allowed.strip() and not self._is_any:
            self._origins = frozenset(_origin(text) for text in allowed.split(",") if text.strip())

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

    def may_upgrade(self, origin: str | None) -> bool:
        """Whether a page of that origin may open a WebSocket; browsers leave that question to us."""
        return self._origins is None or origin is None or origin.lower() in self._origins

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


def _origin(text: str) -> str:
    origin = text.strip().lower()
    parts = urlsplit(origin)
    if parts.scheme and parts.netloc and origin == f"{parts.scheme}://{parts.netloc}":
        return origin
    raise ConfigError(
        f"{text.strip()!r} is not an origin such as https://example.com",
        "security.cors_allowed_origins",
    )
