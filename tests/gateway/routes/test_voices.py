"""``GET /voices``."""

import gzip
import json
from typing import Any

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.gateway import SERVER_KEY, Fixed, Gateway, vendor
from waav.errors import MissingCredentials, ProviderLost, ProviderRefused
from waav.gateway.routes.voices import MOST_LISTS, MOST_PAGES
from waav.gateway.settings import SecuritySettings
from waav.speech.provider import Account, Voice, VoiceList

FREE = SecuritySettings(rate_limit_requests_per_second=100_000)


class VoicesTests(SynchronousTestCase):
    """The route, with vendors that answer when the test says so."""

    def setUp(self) -> None:
        self.gateway = Gateway(security=FREE)
        self.clock, self.fetches = self.gateway.clock, self.gateway.fetches
        self.client = self.gateway.client()

    def ask(self, query: str = "", **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.client.request("GET", f"/voices{query}", named)
        return json.loads(answer.body) if answer.status else None

    def wait(self, seconds: float) -> None:
        """Time passes; connections without a request do not live long enough."""
        self.clock.advance(seconds)
        self.client = self.gateway.client()

    def answered(self) -> Any:
        answer = self.client.answer()
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"))
        return json.loads(answer.body)

    def test_shape(self) -> None:
        """Each provider's voices are listed under its name, every field a string (contract 2.2)."""
        self.assertIsNone(self.ask())
        self.fetches.answer("acme", b"ann English\nbob German\nend")
        self.fetches.answer("brook", b"eve English\nend")
        found = self.answered()
        self.assertEqual(list(found), ["acme", "brook"])
        self.assertEqual([voice["id"] for voice in found["acme"]], ["ann", "bob"])
        self.assertEqual(
            found["brook"],
            [
                {
                    "id": "eve",
                    "sample": "",
                    "name": "Eve",
                    "accent": "Unknown",
                    "gender": "Unknown",
                    "language": "English",
                }
            ],
        )

    def test_all_at_once(self) -> None:
        """No vendor waits for another (D-03)."""
        self.ask()
        self.assertEqual(self.fetches.made, ["https://acme/0", "https://brook/0"])

    def test_a_failing_one_is_left_out(self) -> None:
        """One vendor's trouble does not hide the others' voices (contract 2.2)."""
        self.ask()
        self.fetches.answer("acme", ProviderLost("acme", "acme is down"))
        self.fetches.answer("brook", b"eve English\nend")
        self.assertEqual(list(self.answered()), ["brook"])

    def test_what_is_logged(self) -> None:
        """A vendor that is not configured is nothing to warn of; one that is down is."""

        def unconfigured(account: Account) -> VoiceList:
            raise MissingCredentials("Brook API key not configured in server environment")

        lines: list[tuple[str, str]] = []

        def watch(event: Any) -> None:
            if event.get("provider"):
                lines.append((event["log_level"].name, event["provider"]))

        globalLogPublisher.addObserver(watch)
        self.addCleanup(globalLogPublisher.removeObserver, watch)
        providers = (vendor("acme"), vendor("brook", voices=unconfigured))
        self.gateway = Gateway(security=FREE, providers=providers)
        self.client = self.gateway.client()
        self.ask()
        self.gateway.fetches.answer("acme", ProviderLost("acme", "acme is down"))
        self.assertEqual(lines, [("debug", "brook"), ("warn", "acme")])

    def test_nonsense_is_left_out(self) -> None:
        """Neither does a vendor's unreadable answer; the reason is told on request."""
        self.ask("?verbose=true")
        self.fetches.answer("acme", b"too many words\nend")
        self.fetches.answer("brook", b"end")
        found = self.answered()
        self.assertEqual(found["brook"], [])
        self.assertEqual(
            found["errors"], {"acme": "acme sent a list of voices that cannot be read"}
        )

    def test_a_silent_one_is_left_out(self) -> None:
        """A vendor that does not answer costs ten seconds, not more (D-03)."""
        self.ask("?verbose=true")
        self.fetches.answer("brook", b"eve English\nend")
        self.clock.advance(9.9)
        self.assertEqual(self.client.answer().status, 0)
        self.clock.advance(0.2)
        found = self.answered()
        self.assertEqual(list(found), ["brook", "errors"])
        self.assertEqual(found["errors"], {"acme": "acme did not answer in time"})

    def test_a_slow_one_is_left_out(self) -> None:
        """Nor does one whose pages come, but too slowly: twenty seconds in all (D-03)."""
        self.ask("?provider=acme&verbose=1")
        for _ in range(3):
            self.clock.advance(6)
            self.fetches.answer("acme", b"ann English\nmore")
        self.clock.advance(2.1)
        self.assertEqual(list(self.answered()["errors"]), ["acme"])

    def test_pages(self) -> None:
        """Every page of a list is read, up to a limit (providers-tts 5.1)."""
        self.ask("?provider=acme")
        self.fetches.answer("acme", b"ann English\nmore")
        self.fetches.answer("acme", b"bob English\nend")
        self.assertEqual([voice["id"] for voice in self.answered()["acme"]], ["ann", "bob"])
        self.ask("?provider=brook")
        for _ in range(MOST_PAGES):
            self.fetches.answer("brook", b"eve English\nmore")
        self.assertEqual(len(self.answered()["brook"]), MOST_PAGES)
        self.assertEqual(self.fetches.open, [])

    def test_most_voices(self) -> None:
        """An endless list does not fill the memory."""
        self.ask("?provider=acme")
        self.fetches.answer("acme", b"ann English\n" * 6000 + b"more")
        self.assertEqual(len(self.answered()["acme"]), 5000)
        self.assertEqual(self.fetches.open, [])

    def test_kept(self) -> None:
        """A second call within ten minutes makes no upstream call (F-218, D-03)."""
        self.ask("?provider=acme")
        self.fetches.answer("acme", b"ann English\nend")
        self.wait(599)
        self.assertEqual(len(self.ask("?provider=acme")["acme"]), 1)
        self.assertEqual(len(self.fetches.made), 1)
        self.wait(2)
        self.assertIsNone(self.ask("?provider=acme"))
        self.assertEqual(len(self.fetches.made), 2)

    def test_failures_are_kept_shortly(self) -> None:
        """A vendor that is down is asked again after half a minute, not by every visitor (D-03)."""
        self.ask("?provider=acme")
        self.fetches.answer("acme", ProviderLost("acme", "acme is down"))
        self.wait(29)
        self.assertEqual(self.ask("?provider=acme"), {})
        self.wait(2)
        self.assertIsNone(self.ask("?provider=acme"))

    def test_refresh(self) -> None:
        """``refresh=true`` asks the vendor again; the new list is kept (providers-tts 5.1)."""
        self.ask("?provider=acme")
        self.fetches.answer("acme", b"ann English\nend")
        self.assertIsNone(self.ask("?provider=acme&refresh=true"))
        self.fetches.answer("acme", b"bob English\nend")
        self.assertEqual(self.answered()["acme"][0]["id"], "bob")
        self.assertEqual(self.ask("?provider=acme")["acme"][0]["id"], "bob")

    def test_one_flight(self) -> None:
        """Many who ask at once cause one upstream call, also with ``refresh`` (F-218)."""
        clients = [self.gateway.client() for _ in range(5)]
        for client in clients:
            client.request("GET", "/voices?provider=acme&refresh=true")
        self.assertEqual(len(self.fetches.made), 1)
        self.fetches.answer("acme", b"ann English\nend")
        for client in clients:
            self.assertEqual(client.answer().status, 200)

    def test_who_leaves_does_not_stop_it(self) -> None:
        """A visitor who hangs up takes nothing away from the others."""
        self.ask("?provider=acme")
        other = self.gateway.client()
        other.request("GET", "/voices?provider=acme")
        self.client.hang_up()
        self.fetches.answer("acme", b"ann English\nend")
        self.assertEqual(other.answer().status, 200)

    def test_filter(self) -> None:
        """``provider`` chooses, by name or alias, one or several (L-12)."""
        gateway = Gateway(
            security=FREE,
            providers=(
                vendor("acme", aliases=("acme-ai",), voices=lambda _: Fixed()),
                vendor("brook", voices=lambda _: Fixed()),
                vendor("creek", voices=lambda _: Fixed()),
            ),
        )
        self.client = gateway.client()
        self.assertEqual(list(self.ask("?provider=ACME-AI")), ["acme"])
        self.assertEqual(list(self.ask("?provider=creek,brook")), ["creek", "brook"])
        self.assertEqual(list(self.ask("?provider=acme,acme-ai")), ["acme"])

    def test_unknown_provider(self) -> None:
        """A name that nobody has has no voices; verbose lists the names there are (L-14)."""
        answer = self.client.request("GET", "/voices?provider=zephyr")
        self.assertEqual((answer.status, json.loads(answer.body)), (200, {}))
        answer = self.client.request("GET", "/voices?provider=zephyr&verbose=true")
        errors = json.loads(answer.body)["errors"]
        self.assertEqual(list(errors), ["zephyr"])
        self.assertIn("acme, brook", errors["zephyr"])

    def test_unknown_beside_known(self) -> None:
        """Of a list, those that exist are answered, whatever else is in it; and not without end."""
        self.ask("?provider=zephyr,acme&verbose=true")
        self.fetches.answer("acme", b"ann English\nend")
        answer = json.loads(self.client.answer().body)
        self.assertEqual(
            (list(answer["acme"][0])[:1], list(answer["errors"])), (["id"], ["zephyr"])
        )
        many = ",".join(f"nobody{number}" for number in range(1000))
        answer = json.loads(self.client.request("GET", f"/voices?verbose=1&provider={many}").body)
        self.assertLessEqual(len(answer["errors"]), 64)

    def test_language(self) -> None:
        """``language`` chooses by name or code (providers-tts 5.1)."""
        for query in ("German", "de", "de-AT"):
            self.ask(f"?provider=acme&refresh=true&language={query}")
            self.fetches.answer("acme", b"ann English\nbob German\nend")
            self.assertEqual([voice["id"] for voice in self.answered()["acme"]], ["bob"])

    def test_without_key(self) -> None:
        """A provider that nobody configured is left out, and asked nothing (contract 2.2)."""
        gateway = Gateway(security=FREE, without_key=("acme", "brook"))
        self.client = gateway.client()
        self.assertEqual(self.ask(), {})
        self.assertEqual(gateway.fetches.made, [])
        self.assertEqual(list(self.ask("?verbose=true")["errors"]), ["acme", "brook"])

    def test_inside(self) -> None:
        """A provider that lives in the process needs no request."""
        self.client = Gateway(providers=(vendor("local", voices=lambda _: Fixed()),)).client()
        self.assertEqual([voice["id"] for voice in self.ask()["local"]], ["inside"])

    def test_without_list(self) -> None:
        """Providers without a list, or that are shutting down, are shown only to who asks for them."""
        leaving = vendor("leaving", voices=lambda _: Fixed(), capabilities=frozenset({"sunset"}))
        mute = vendor("mute", voices=None)
        self.client = Gateway(security=FREE, providers=(leaving, mute)).client()
        self.assertEqual(self.ask("?verbose=true"), {"errors": {}})
        self.assertEqual(list(self.ask("?provider=leaving")), ["leaving"])
        found = self.ask("?provider=mute&verbose=true")
        self.assertEqual(found, {"errors": {"mute": "mute has no list of voices"}})

    def test_callers_key(self) -> None:
        """The caller's key in the header is used for the one provider he asks for (L-12, SRV-07)."""
        self.ask("?provider=acme", X_Provider_Api_Key="mine")
        _, request, _ = self.fetches.open[0]
        self.assertEqual(request.headers["authorization"], "mine")

    def test_callers_key_is_for_one(self) -> None:
        """It is never sent to several vendors (L-12)."""
        self.ask(X_Provider_Api_Key="mine")
        keys = {request.headers["authorization"] for _, request, _ in self.fetches.open}
        self.assertEqual(keys, {SERVER_KEY.reveal()})

    def test_lists_belong_to_accounts(self) -> None:
        """Nobody sees the voices of another account out of memory (F-218)."""
        self.ask("?provider=acme", X_Provider_Api_Key="mine")
        self.fetches.answer("acme", b"private English\nend")
        self.assertIsNone(self.ask("?provider=acme"))
        self.fetches.answer("acme", b"public English\nend")
        self.assertEqual(self.answered()["acme"][0]["id"], "public")

    def test_a_bad_key_is_told(self) -> None:
        """A caller whose key was refused can find out (providers-tts 5.1)."""
        self.ask("?provider=acme&verbose=true", X_Provider_Api_Key="wrong")
        self.fetches.answer("acme", ProviderRefused("acme", "acme answered HTTP 401"))
        self.assertEqual(self.answered(), {"errors": {"acme": "acme answered HTTP 401"}})

    def test_bounded_memory(self) -> None:
        """Callers with ever new keys push old lists out, not memory up."""
        for n in range(MOST_LISTS + 1):
            self.ask("?provider=acme", X_Provider_Api_Key=f"key {n}")
            self.fetches.answer("acme", b"ann English\nend")
        self.ask("?provider=acme", X_Provider_Api_Key=f"key {MOST_LISTS}")
        self.assertEqual(len(self.fetches.made), MOST_LISTS + 1)
        self.ask("?provider=acme", X_Provider_Api_Key="key 0")
        self.assertEqual(len(self.fetches.made), MOST_LISTS + 2)

    def test_our_mistake_is_logged(self) -> None:
        """A mistake in a provider module is in the log with its place, and hides no other voices (SRV-08)."""

        def broken(account: object) -> Any:
            raise ZeroDivisionError

        good = vendor("good", voices=lambda _: Fixed())
        self.client = Gateway(providers=(vendor("bad", voices=broken), good)).client()
        self.assertEqual(list(self.ask()), ["good"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class CompressionTests(SynchronousTestCase):
    """Large JSON (F-049, S-LIM-21)."""

    def setUp(self) -> None:
        class Many(Fixed):
            def read(self, body: bytes) -> tuple[list[Voice], None]:
                return [Voice(f"voice-{n}", "Name") for n in range(100)], None

        self.client = Gateway(providers=(vendor("acme", voices=lambda _: Many()),)).client()

    def test_on_request(self) -> None:
        """A client that takes gzip gets a long list in less than a third of the bytes (F-049, S-LIM-21)."""
        plain = self.client.request("GET", "/voices")
        small = self.client.request("GET", "/voices", {"Accept-Encoding": "br, gzip;q=0.5"})
        self.assertEqual(small.headers["content-encoding"], "gzip")
        self.assertIn("Accept-Encoding", small.headers["vary"])
        self.assertEqual(gzip.decompress(small.body), plain.body)
        self.assertLess(len(small.body) * 3, len(plain.body))

    def test_not_unasked(self) -> None:
        """Others get it plain, as do those who refuse gzip (F-049)."""
        for header in ({}, {"Accept-Encoding": "br"}, {"Accept-Encoding": "gzip;q=0, *"}):
            answer = self.client.request("GET", "/voices", header)
            self.assertNotIn("content-encoding", answer.headers)
            self.assertIn("Accept-Encoding", answer.headers["vary"])

    def test_short_ones_stay_plain(self) -> None:
        """Answers under a kilobyte are not worth it (S-LIM-21)."""
        answer = self.client.request("GET", "/", {"Accept-Encoding": "gzip"})
        self.assertNotIn("content-encoding", answer.headers)
