"""Whose request it is."""

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from waav.errors import ConfigError
from waav.gateway.admission.address import NO_ADDRESS, Addresses

PROXY = "10.0.0.1"


def client(
    peer: str | None, *lines: tuple[str, str], trusted: tuple[str, ...] = ("10.0.0.0/8",)
) -> str:
    headers = Headers()
    for name, value in lines:
        headers.addRawHeader(name, value)
    return Addresses(trusted).client(peer, headers)


class AddressTests(SynchronousTestCase):
    """``Addresses.client``."""

    def test_a_stranger_is_not_believed(self) -> None:
        """Who invents a forwarded address is counted under his own (D-70, X-02, S-CFG-38)."""
        lines = [(name, "203.0.113.9") for name in ("X-Forwarded-For", "X-Real-IP")]
        found = client("192.0.2.1", *lines, ("Forwarded", "for=203.0.113.9"))
        self.assertEqual(found, "192.0.2.1")

    def test_nobody_is_trusted_by_default(self) -> None:
        """Without configuration even a local peer's header counts for nothing (S-CFG-38)."""
        line = ("X-Forwarded-For", "203.0.113.9")
        self.assertEqual(
            Addresses().client("127.0.0.1", Headers({line[0]: [line[1]]})), "127.0.0.1"
        )

    def test_the_right_most_untrusted_entry_wins(self) -> None:
        """What a caller put in front of the proxy's own entry is ignored (S-CFG-38)."""
        line = ("X-Forwarded-For", "1.1.1.1, 203.0.113.9, 10.2.2.2")
        self.assertEqual(client(PROXY, line), "203.0.113.9")

    def test_several_lines_are_one_list(self) -> None:
        """Proxies may add a header line of their own instead of extending one."""
        lines = [("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-For", "203.0.113.9")]
        self.assertEqual(client(PROXY, *lines), "203.0.113.9")

    def test_only_proxies_in_the_list(self) -> None:
        """A request from inside is counted under the machine that sent it."""
        self.assertEqual(client(PROXY, ("X-Forwarded-For", "10.9.9.9, 10.2.2.2")), "10.9.9.9")

    def test_nonsense_ends_the_search(self) -> None:
        """An unreadable entry hides what stands left of it: the last readable hop counts."""
        line = ("X-Forwarded-For", "203.0.113.9, unknown, 10.2.2.2")
        self.assertEqual(client(PROXY, line), "10.2.2.2")
        self.assertEqual(client(PROXY, ("X-Forwarded-For", "")), PROXY)

    def test_rfc_7239(self) -> None:
        """``Forwarded`` works too, with ports, quotes and IPv6 in brackets (S-CFG-38)."""
        line = ("Forwarded", 'for=1.1.1.1;proto=http, For="[2001:db8::7]:4711";by=10.0.0.1')
        self.assertEqual(client(PROXY, line), "2001:db8::7")
        self.assertEqual(client(PROXY, ("Forwarded", "for=203.0.113.9:80")), "203.0.113.9")
        self.assertEqual(client(PROXY, ("Forwarded", "for=203.0.113.9, proto=https")), PROXY)

    def test_real_ip(self) -> None:
        """``X-Real-IP`` is taken where nothing better is there (S-CFG-38)."""
        self.assertEqual(client(PROXY, ("X-Real-IP", "203.0.113.9")), "203.0.113.9")

    def test_ipv4_in_ipv6(self) -> None:
        """A dual-stack socket's spelling of an IPv4 address is the same caller."""
        self.assertEqual(client("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertEqual(client("::ffff:10.0.0.1", ("X-Real-IP", "203.0.113.9")), "203.0.113.9")

    def test_zones_are_dropped(self) -> None:
        """A link-local address is the same on every interface."""
        self.assertEqual(client("fe80::1%eth0"), "fe80::1")

    def test_no_address_at_all(self) -> None:
        """Callers through a UNIX socket are counted together."""
        self.assertEqual(client(None), NO_ADDRESS)

    def test_a_bad_proxy_is_refused(self) -> None:
        """A typo in the configuration is named, not ignored."""
        with self.assertRaises(ConfigError) as caught:
            Addresses(("10.0.0.0/33",))
        self.assertEqual(caught.exception.path, "security.trusted_proxies")
