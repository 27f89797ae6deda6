"""Answers of vendors that may be given again: synthesised speech.

The key is made from the finished wire request, in one place, so that no provider can forget a field.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from waav.cache.settings import CacheSettings
from waav.cache.store import Store
from waav.errors import ProviderError
from waav.speech import wire
from waav.tasks import Tasks

VERSION: Final = 1
"""Changes when the meaning of an entry changes: old entries are then never found."""

_SECRET_QUERY: Final = frozenset(
    {"api_key", "apikey", "api-key", "key", "access_token", "token", "accesskey", "xi-api-key"}
)
_SECRET_HEADERS: Final = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-api-key",
        "xi-api-key",
        "api-key",
        "x-hume-api-key",
        "ocp-apim-subscription-key",
        "x-user-id",
    }
)
"""Never part of a key or an entry, whatever a provider forgot to name."""
_UNINFLUENTIAL: Final = frozenset({"user-agent", "content-length", "connection"})
_NOT_KEPT: Final = frozenset(
    {"set-cookie", "connection", "keep-alive", "transfer-encoding", "date"}
)
_process_salt = token_bytes(32)


def key_of(provider: str, request: wire.Request, fingerprint: str) -> str:
    """What tells one request's answer from every other's.

    Args:
        provider: canonical name.
        request: the finished request.
        fingerprint: of the credential in use. "" makes the entry unreadable for other processes: a
            fingerprint with a salt of this process takes its place.
    """
    parts = urlsplit(request.url)
    secret = _SECRET_HEADERS | {name.lower() for name in request.secret_headers}
    headers = {name.lower(): value for name, value in request.headers.items()}
    query = parse_qsl(parts.query, keep_blank_values=True)
    shown = {
        "version": VERSION,
        "provider": provider,
        "method": request.method.upper(),
        "address": [parts.scheme, parts.netloc.rpartition("@")[2], parts.path],
        "query": [pair for pair in query if pair[0].lower() not in _SECRET_QUERY],
        "headers": sorted(
            pair for pair in headers.items() if pair[0] not in secret | _UNINFLUENTIAL
        ),
        "body": hashlib.sha256(request.body).hexdigest(),
        "account": fingerprint or _own_fingerprint(headers, query, secret),
    }
    text = json.dumps(shown, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _own_fingerprint(
    headers: dict[str, str], query: list[tuple[str, str]], secret: frozenset[str] | set[str]
) -> str:
    found = sorted(pair for pair in headers.items() if pair[0] in secret)
    found += sorted(pair for pair in query if pair[0].lower() in _SECRET_QUERY)
    return hashlib.blake2b(json.dumps(found).encode(), key=_process_salt).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer."""

    head: wire.Head
    body: bytes

    def encode(self) -> bytes:
        """As stored: a line of JSON, then the body."""
        headers = {
            name: value for name, value in self.head.headers.items() if name not in _NOT_KEPT
        }
        return (
            json.dumps({"status": self.head.status, "headers": headers}).encode()
            + b"\n"
            + self.body
        )

    @staticmethod
    def decode(stored: bytes) -> "Answer":
        """The opposite. Raises ValueError, KeyError or TypeError for anything else."""
        line, _, body = stored.partition(b"\n")
        found = json.loads(line)
        headers = {str(name): str(value) for name, value in found["headers"].items()}
        return Answer(wire.Head(int(found["status"]), headers), body)


_Outcome = Answer | ProviderError | None
"""Of a request that others wait for; None: it was given up, or its answer was too long to keep."""


@dataclass(slots=True)
class _Flight:
    waiting: list[Deferred[_Outcome]] = field(default_factory=list)


class AnswerRecording:
    """Collects one answer as it passes; whoever has one must end it with one of the three methods."""

    def __init__(self, limit_bytes: int, ended: Callable[[_Outcome], None]) -> None:
        self._limit = limit_bytes
        self._ended: Callable[[_Outcome], None] | None = ended
        self._head: wire.Head | None = None
        self._pieces: list[bytes] = []
        self._size = 0

    def heard(self, piece: wire.Incoming) -> None:
        """A piece passed."""
        if isinstance(piece, wire.Head):
            self._head = piece
        elif isinstance(piece, wire.Body):
            self._size += len(piece.data)
            if self._size <= self._limit:
                self._pieces.append(piece.data)
            else:
                self._pieces.clear()

    def keep(self) -> None:
        """The answer is complete."""
        if self._head is not None and self._size <= self._limit:
            self._end(Answer(self._head, b"".join(self._pieces)))
        else:
            self._end(None)

    def fail(self, error: ProviderError) -> None:
        """The request failed; those who wait for the same answer fail with it."""
        self._end(error)

    def drop(self) -> None:
        """Nobody wants it any more, or it is not to be kept; one of those who wait asks again."""
        self._end(None)

    def _end(self, outcome: _Outcome) -> None:
        ended, self._ended = self._ended, None
        self._pieces.clear()
        if ended is not None:
            ended(outcome)


class Answers:
    """Remembers answers, and lets identical requests made at the same time share one.

    Args:
        store: where they are kept.
        settings: the largest entry.
    """

    _log = Logger()

    def __init__(self, store: Store, settings: CacheSettings) -> None:
        self.store = store
        self._settings = settings
        self._flights: dict[str, _Flight] = {}
        self._writing = Tasks()

    async def find(self, key: str) -> Answer | AnswerRecording:
        """The answer, from the store or from whoever is getting it; or a recording for getting it oneself.

        Raises:
            ProviderError: whoever was getting it failed.
        """
        while key in self._flights:
            waiter: Deferred[_Outcome] = Deferred()
            flight = self._flights[key]
            flight.waiting.append(waiter)
            try:
                outcome = await waiter
            finally:
                if waiter in flight.waiting:
                    flight.waiting.remove(waiter)
            if isinstance(outcome, ProviderError):
                raise outcome
            if outcome is not None:
                self.store.figures.hits += 1
                return outcome
        self._flights[key] = _Flight()
        try:
            found = await self._stored(key)
        except BaseException:
            self._land(key, None)
            raise
        if found is not None:
            self._land(key, found)
            return found
        return AnswerRecording(
            self._settings.max_entry_bytes, lambda outcome: self._recorded(key, outcome)
        )

    async def _stored(self, key: str) -> Answer | None:
        stored = await self.store.get(key)
        if stored is None:
            return None
        try:
            return Answer.decode(stored)
        except (ValueError, KeyError, TypeError, AttributeError):
            await self.store.delete(key)
            return None

    def _recorded(self, key: str, outcome: _Outcome) -> None:
        if isinstance(outcome, Answer):
            self._writing.start(self._write(key, outcome), "keeping an answer")
        self._land(key, outcome)

    async def _write(self, key: str, answer: Answer) -> None:
        await self.store.put(key, answer.encode())

    def _land(self, key: str, outcome: _Outcome) -> None:
        flight = self._flights.pop(key)
        waiting, flight.waiting = flight.waiting, []
        # After None all of them look again: the first becomes the one who asks, the others wait for it.
        for waiter in waiting:
            waiter.callback(outcome)

    async def stop(self) -> None:
        """Wait for nothing more; what is being written is given up."""
        await self._writing.stop()
