"""Whose request it is: the one address that every limit counts by."""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from twisted.web.http_headers import Headers

from waav.errors import ConfigError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NO_ADDRESS = "local"
"""Counted for callers that come through a UNIX socket, which have no address."""


class Addresses:
    """Finds a caller's address: the socket's, unless that is a proxy the operator trusts.

    Args:
        trusted_proxies: addresses or networks ("10.0.0.0/8") whose forwarded headers are believed.

    Raises:
        ConfigError: one of them is neither.
    """

    def __init__(self, trusted_proxies: Sequence[str] = ()) -> None:
        self._trusted = tuple(_network(text) for text in trusted_proxies)

    def client(self, peer: str | None, headers: Headers) -> str:
        """The caller's address as text.

        Behind trusted proxies it is the right-most entry of ``X-Forwarded-For``, else ``Forwarded``, else
        ``X-Real-IP`` that is no trusted proxy itself: what stands left of it the caller may have invented.
        """
        address = parse(peer or "")
        if address is None:
            return peer or NO_ADDRESS
        if not self._is_trusted(address):
            return str(address)
        for name, entries in _FORWARDED:
            lines = headers.getRawHeaders(name)
            if lines:
                return str(self._right_most(entries(lines), address))
        return str(address)

    def asked_host(self, peer: str | None, headers: Headers) -> str | None:
        """The address that a caller asked for: ``Host``, or what a trusted proxy says it was before him."""
        address = parse(peer or "")
        if address is None or self._is_trusted(address):
            forwarded = headers.getRawHeaders("x-forwarded-host")
            if forwarded:
                return forwarded[-1].rpartition(",")[2].strip()
        asked = headers.getRawHeaders("host")
        return asked[-1].strip() if asked else None

    def _right_most(self, entries: Iterator[str], proxy: Address) -> Address:
        nearest = proxy
        for text in entries:
            address = parse(text)
            if address is None:
                return nearest
            nearest = address
            if not self._is_trusted(address):
                return nearest
        return nearest

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def parse(text: str) -> Address | None:
    """An address out of a socket or a header: brackets, ports, zones and IPv4-in-IPv6 taken off."""
    bare = text.strip().strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _network(text: str) -> Network:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        raise ConfigError(
            f"{text!r} is neither an address nor a network", "security.trusted_proxies"
        ) from None


def _listed(lines: Iterable[str]) -> Iterator[str]:
    return reversed([entry for line in lines for entry in line.split(",")])


def _forwarded(lines: Iterable[str]) -> Iterator[str]:
    """The ``for=`` values of RFC 7239, last hop first; a hop without one gives "" and ends the search."""
    for element in _listed(lines):
        pairs = (pair.partition("=") for pair in element.split(";"))
        yield next((value for name, _, value in pairs if name.strip().lower() == "for"), "")


_FORWARDED = (("x-forwarded-for", _listed), ("forwarded", _forwarded), ("x-real-ip", _listed))
