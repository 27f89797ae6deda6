"""How many connections there may be, in all and from one address.

Checking and counting are one step, so the limits hold however many callers come at once. Here one process counts;
``waav.gateway.admission.shared`` does it for several.
"""

from collections.abc import Callable
from functools import partial
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from waav.errors import TooMany

AT_CAPACITY: Final = "Server at capacity. Please try again later."
TOO_MANY_FROM_ADDRESS: Final = "Too many connections from your IP address."


class AtCapacity(TooMany):
    """No more connections for anybody."""

    status = 503
    code = "at_capacity"


class Slot:
    """One counted connection. Give it back with ``release``; more than once does no harm."""

    __slots__ = ("_give_back",)

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back

    def release(self) -> None:
        """The connection is gone and cleaned up."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


class Slots:
    """Counts connections.

    Args:
        global_limit: connections in all; None: no limit.
        per_address: connections per client address, where an IPv6 /64 is one address; None: no limit.
    """

    def __init__(self, global_limit: int | None, per_address: int | None) -> None:
        self._global_limit = global_limit
        self._per_address = per_address
        self._counts: dict[str, int] = {}
        self._total = 0

    @property
    def total(self) -> int:
        """Connections now."""
        return self._total

    def count(self, address: str) -> int:
        """Connections now from this address, or from its /64."""
        return self._counts.get(counted_as(address), 0)

    def take(self, address: str) -> Slot:
        """Count one more connection.

        Raises:
            AtCapacity: there are too many in all; nothing was counted.
            TooMany: there are too many from this address; nothing was counted.
        """
        if self._global_limit is not None and self._total >= self._global_limit:
            raise AtCapacity(AT_CAPACITY)
        key = counted_as(address)
        count = self._counts.get(key, 0)
        if self._per_address is not None and count >= self._per_address:
            raise TooMany(TOO_MANY_FROM_ADDRESS)
        self._counts[key] = count + 1
        self._total += 1
        return Slot(partial(self._release, key))

    def _release(self, key: str) -> None:
        self._total -= 1
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]


def counted_as(address: str) -> str:
    """What an address is counted under: itself, or its /64 where it is IPv6."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(ip, IPv6Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ip_network((ip, 64), strict=False))
