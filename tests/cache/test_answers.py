"""The key of remembered answers, and sharing of requests under way."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from waav import errors
from waav.cache.answers import Answer, AnswerRecording, Answers, key_of
from waav.cache.memory import MemoryStore
from waav.cache.settings import CacheSettings
from waav.speech import wire

REQUEST = wire.Request(
    "POST",
    "https://vendor.test/v1/speak?model=a&rate=24000&api_key=hush",
    {"Authorization": "Token hush", "Accept": "audio/wav", "X-Api-Key": "hush", "User-Agent": "w"},
    b'{"text":"hello"}',
    cacheable=True,
)
HEAD = wire.Head(200, {"content-type": "audio/wav", "set-cookie": "id=1"})

names = st.text("abcdefgh", min_size=1, max_size=6)


class KeyTests(SynchronousTestCase):
    def key(self, fingerprint: str = "f", provider: str = "acme", **changed: Any) -> str:
        return key_of(provider, replace(REQUEST, **changed), fingerprint)

    def test_everything_that_changes_the_speech_changes_the_key(self) -> None:
        """Another text, voice, rate, vendor or account never gets this one's audio. (TTS-01, TTS-02, D-46, S-TTS-20)"""
        url = REQUEST.url
        others = [
            self.key(),
            self.key(provider="other"),
            self.key(fingerprint="g"),
            self.key(method="PUT"),
            self.key(body=b'{"text":"hello "}'),
            self.key(body=b'{"text":"hallo"}'),
            self.key(body=b'{"text":"Hello"}'),
            self.key(body=b""),
            self.key(url=url.replace("https", "http")),
            self.key(url=url.replace("vendor", "vendors")),
            self.key(url=url.replace("vendor.test", "vendor.test:8443")),
            self.key(url=url.replace("/v1/", "/v2/")),
            self.key(url=url.replace("model=a", "model=b")),
            self.key(url=url.replace("model=a&", "")),
            self.key(url=url.replace("model=a", "model=a&model=b")),
            self.key(url=url.replace("rate=24000", "rate=")),
            self.key(headers={**REQUEST.headers, "Accept": "audio/mpeg"}),
            self.key(headers={**REQUEST.headers, "X-Output": "1"}),
        ]
        self.assertEqual(len(set(others)), len(others))

    @given(
        st.lists(st.tuples(names, names), max_size=4),
        st.lists(st.tuples(names, names), max_size=4),
        st.binary(),
        st.binary(),
    )
    def test_two_requests_share_a_key_only_if_they_are_the_same(
        self, one: list[Any], two: list[Any], first: bytes, second: bytes
    ) -> None:
        """No choice of options, on either side of a separator, makes two requests look alike. (TTS-01)"""
        urls = ["https://v.test/?" + "&".join(f"{k}={v}" for k, v in q) for q in (one, two)]
        is_same = (one, first) == (two, second)
        keys = {self.key(url=urls[0], body=first), self.key(url=urls[1], body=second)}
        self.assertEqual(len(keys) == 1, is_same)

    def test_secrets_and_noise_do_not_change_the_key(self) -> None:
        """A renewed token of the same account still finds yesterday's audio. (TTS-01)"""
        same = [
            self.key(),
            self.key(url=REQUEST.url.replace("hush", "other")),
            self.key(headers={**REQUEST.headers, "Authorization": "Token other"}),
            self.key(headers={**REQUEST.headers, "x-api-key": "other", "X-Api-Key": "x"}),
            self.key(headers={**REQUEST.headers, "User-Agent": "other"}),
            self.key(headers={name.upper(): value for name, value in REQUEST.headers.items()}),
            self.key(
                headers={**REQUEST.headers, "X-Session": "s"},
                secret_headers=frozenset({"X-Session"}),
            ),
        ]
        self.assertEqual(len(set(same)), 1)

    def test_without_a_fingerprint_accounts_are_still_apart(self) -> None:
        """Two keys never share audio, even where nobody gave a fingerprint. (TTS-01)"""
        mine = self.key("")
        theirs = self.key("", headers={**REQUEST.headers, "Authorization": "Token other"})
        in_query = self.key("", url=REQUEST.url.replace("hush", "other"))
        self.assertEqual(len({mine, theirs, in_query, self.key("f")}), 4)
        self.assertEqual(mine, self.key(""))


class AnswerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = MemoryStore(Clock(), CacheSettings())  # type: ignore[arg-type]
        self.answers = Answers(self.store, CacheSettings(max_entry_bytes=100))

    def find(self, key: str = "k") -> Deferred[Any]:
        return Deferred.fromCoroutine(self.answers.find(key))

    def lead(self) -> AnswerRecording:
        recording = self.successResultOf(self.find())
        self.assertIsInstance(recording, AnswerRecording)
        return recording

    def test_kept_with_its_head(self) -> None:
        """A remembered answer says what format it is in. (F-177, S-TTS-23)"""
        recording = self.lead()
        for piece in (HEAD, wire.Body(b"ab"), wire.Body(b"\ncd"), wire.End()):
            recording.heard(piece)
        recording.keep()
        found = self.successResultOf(self.find())
        self.assertEqual(found, Answer(wire.Head(200, {"content-type": "audio/wav"}), b"ab\ncd"))

    def test_only_complete_answers(self) -> None:
        """An answer that was broken off is not played next time. (S-TTS-22)"""
        recording = self.lead()
        recording.heard(HEAD)
        recording.heard(wire.Body(b"ab"))
        recording.drop()
        recording.keep()
        self.lead().fail(errors.ProviderLost("acme", "gone"))
        self.lead()
        self.assertEqual(self.store.figures.sets, 0)

    def test_not_too_large(self) -> None:
        """An answer over the limit is given, but not kept. (S-TTS-25)"""
        recording = self.lead()
        recording.heard(HEAD)
        recording.heard(wire.Body(b"x" * 60))
        recording.heard(wire.Body(b"x" * 60))
        recording.keep()
        self.lead()
        self.assertEqual(self.store.figures.sets, 0)

    def test_junk_in_the_store_is_a_miss(self) -> None:
        """An entry of another version is asked for again."""
        for junk in (b"", b"{}\n", b"[]\nx", b'{"status":"x","headers":{}}\n', b"null\n"):
            self.store.put("k", junk)
            self.lead().drop()
            self.assertFalse(self.successResultOf(self.store.exists("k")))

    def test_one_request_for_all_who_ask_meanwhile(self) -> None:
        """Ten callers asking for the same words make one request. (S-TTS-24)"""
        recording = self.lead()
        waiting = [self.find() for _ in range(9)]
        for one in waiting:
            self.assertNoResult(one)
        recording.heard(HEAD)
        recording.heard(wire.Body(b"ab"))
        recording.keep()
        for one in waiting:
            self.assertEqual(self.successResultOf(one).body, b"ab")
        self.assertEqual(self.store.figures.sets, 1)

    def test_a_leader_who_leaves_does_not_take_the_others_along(self) -> None:
        """When the first caller hangs up, the next one asks, and only one. (S-TTS-24)"""
        recording = self.lead()
        waiting = [self.find() for _ in range(3)]
        recording.drop()
        second = self.successResultOf(waiting[0])
        self.assertIsInstance(second, AnswerRecording)
        self.assertNoResult(waiting[1])
        second.heard(HEAD)
        second.keep()
        self.assertIsInstance(self.successResultOf(waiting[1]), Answer)
        self.assertIsInstance(self.successResultOf(waiting[2]), Answer)

    def test_a_follower_who_leaves_changes_nothing(self) -> None:
        """One of those who wait may hang up."""
        recording = self.lead()
        one, other = self.find(), self.find()
        one.cancel()
        self.failureResultOf(one)
        recording.heard(HEAD)
        recording.keep()
        self.assertIsInstance(self.successResultOf(other), Answer)

    def test_a_failure_is_everybodys(self) -> None:
        """A vendor that is down is asked once for all who wait. (S-TTS-24)"""
        recording = self.lead()
        waiting = [self.find(), self.find()]
        recording.fail(errors.ProviderBusy("acme", "down"))
        for one in waiting:
            self.failureResultOf(one, errors.ProviderBusy)

    def test_a_store_that_fails_frees_the_key(self) -> None:
        """An error while looking does not block the same words for ever."""

        class Broken(MemoryStore):
            def get(self, key: str) -> Any:
                raise RuntimeError("broken")

        answers = Answers(Broken(Clock(), CacheSettings()), CacheSettings())  # type: ignore[arg-type]
        for _ in range(2):
            self.failureResultOf(Deferred.fromCoroutine(answers.find("k")), RuntimeError)
