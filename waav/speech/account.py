"""What every vendor reads from an account: the key, and where the vendor lives."""

import re
from urllib.parse import urlsplit

from waav.errors import BadRequest, ConfigError, MissingCredentials
from waav.speech.provider import Account

_PRINTABLE = re.compile(r"[\x21-\x7e]+")


def api_key(account: Account, title: str) -> str:
    """The API key, fit for a header.

    Raises:
        MissingCredentials: there is none.
        BadRequest, ConfigError: it has characters no header may carry (a caller's key, the operator's).
    """
    if not account.key:
        raise MissingCredentials(f"{title} API key not configured in server environment")
    text = account.key.reveal().strip()
    if not _PRINTABLE.fullmatch(text):
        message = f"the {title} API key has spaces or characters that no header may carry"
        if account.is_callers_own:
            raise BadRequest(message)
        raise ConfigError(message, "api_key")
    return text


def base_address(account: Account, default: str, *, is_socket: bool = False) -> str:
    """The address requests go to, without a trailing slash.

    Args:
        account: its ``endpoint``, if any, replaces the vendor's address.
        default: the vendor's own, ``https://host``.
        is_socket: give ``ws``/``wss`` instead of ``http``/``https``, whichever of the two was configured.

    Raises:
        ConfigError: the endpoint is no address.
    """
    address = (account.endpoint or default).strip().rstrip("/")
    parts = urlsplit(address)
    is_safe = {"http": False, "ws": False, "https": True, "wss": True}.get(parts.scheme)
    if is_safe is None or not parts.hostname:
        raise ConfigError(f"{address!r} is not an http(s) or ws(s) address", "endpoint")
    if parts.query or parts.fragment or parts.username:
        raise ConfigError("an endpoint has no query, fragment or user name", "endpoint")
    scheme = ("ws" if is_socket else "http") + ("s" if is_safe else "")
    return f"{scheme}://{parts.netloc}{parts.path}"
