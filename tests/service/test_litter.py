"""An ended call leaves nothing that only the garbage collector could remove.

A whole gateway runs in this process, from YAML and over real sockets; vendors and callers are another process, so
that whatever is found here is the gateway's.
"""

import gc
import json
import os
import sys
from collections import Counter
from pathlib import Path
from types import CoroutineType, FrameType, FunctionType, MethodType
from typing import Any, Final

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.certificates import write_pair
from tests.waiting import TEST_LIMIT_S, until
from waav.config.load import load
from waav.net import tls
from waav.ops import garbage
from waav.registry import Registry
from waav.service.build import build
from waav.service.parts import Listener, Models, Sessions

ROOT: Final = Path(__file__).resolve().parents[2]

TIMES: Final = 100
AT_ONCE: Final = 20
WARM_UP: Final = 2
"""What the first visit makes for good, and leaves behind while making it, is not asked about."""

LIBRARIES: Final = {
    "method _SelectorSocketTransport._read_ready__data_received": (
        "asyncio: a transport keeps the method it reads with. uvloop's does not"
    ),
    "function ThreadPool.callInThreadWithCallback.<locals>.inContext": (
        "Twisted: a job for the thread pool knows itself. One for each look-up of a vendor's name"
    ),
    "function StateMachineMatcher.match.<locals>._match": (
        "Werkzeug: looking for a path. A dozen objects that are young when they are left"
    ),
}
"""What libraries leave by themselves, and cannot be told not to; with what hangs on it, unless that is ours."""

OURS: Final = ("waav.", "autobahn.", "twisted.")
"""Packages none of whose objects may be left, whatever holds them."""


def named(thing: object) -> str:
    """What a reader of the code knows it by."""
    match thing:
        case FrameType():
            return f"frame {thing.f_code.co_qualname}"
        case MethodType():
            return f"method {getattr(thing.__func__, '__qualname__', thing.__func__)}"
        case FunctionType() | CoroutineType():
            return f"{type(thing).__name__} {thing.__qualname__}"
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


def left(found: list[Any]) -> Counter[str]:
    """What is in ``found`` that is not in ``LIBRARIES``, by name."""
    known = {id(one) for one in found}
    forgiven: set[int] = set()
    rest = [one for one in found if named(one) in LIBRARIES]
    while rest:
        one = rest.pop()
        if id(one) in known and id(one) not in forgiven and not _is_ours(one):
            forgiven.add(id(one))
            rest += gc.get_referents(one)
    return Counter(named(one) for one in found if id(one) not in forgiven)


def _is_ours(thing: object) -> bool:
    if isinstance(thing, FrameType | CoroutineType | BaseException):
        return True
    if isinstance(thing, MethodType):
        return named(thing) not in LIBRARIES
    return type(thing).__module__.startswith(OURS)


class Peers(ProcessProtocol):
    """The other process: takes an order, answers it."""

    def __init__(self) -> None:
        self._rest = b""
        self._errors = b""
        self._waiting: Deferred[dict[str, Any]] | None = None
        self.ended: Deferred[None] = Deferred()

    def answer(self) -> Deferred[dict[str, Any]]:
        """Its next line."""
        self._waiting = waiting = Deferred()
        return waiting

    def order(self, **what: Any) -> Deferred[dict[str, Any]]:
        """Have something done; fires when it is."""
        answer = self.answer()
        transport: Any = self.transport
        transport.write(json.dumps(what).encode() + b"\n")
        return answer

    def outReceived(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            waiting, self._waiting = self._waiting, None
            assert waiting is not None
            waiting.callback(json.loads(line))

    def errReceived(self, data: bytes) -> None:
        self._errors += data

    def processEnded(self, reason: Failure) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.errback(AssertionError(self._errors.decode()))
        self.ended.callback(None)


class LitterCase(TestCase):
    """A gateway, and visitors who leave.

    Attributes:
        is_secure: whether TLS is spoken with callers and vendors.
        vendor: at which of its ports the vendor is asked.
        settings: more YAML.
    """

    is_secure = False
    vendor = "port"
    settings = ""

    async def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        pair = write_pair(folder)
        self.peers = Peers()
        ports = self.peers.answer()
        spawn: Any = reactor
        spawn.spawnProcess(
            self.peers,
            sys.executable,
            [sys.executable, "-m", "tests.service.peers", *map(str, pair)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            path=str(ROOT),
        )
        self.addCleanup(self._end_peers)
        port = (await ports)["secure_port" if self.is_secure else self.vendor]
        config = folder / "waav.yaml"
        config.write_text(self._config(port, pair))
        self.patch(tls, "SYSTEM", tls.Trust(pair[0].read_bytes()))
        self.patch(garbage, "SETTLED_S", TEST_LIMIT_S)  # what is hidden is not found
        self.patch(Models, "openings", lambda self: iter(()))
        self.addCleanup(gc.enable)
        self.addCleanup(gc.set_debug, 0)
        self.addCleanup(gc.garbage.clear)
        registry = Registry.discover()
        self.gateway = build(reactor, load(registry, config, environ={}), registry)
        self.gateway.privilegedStartService()
        self.gateway.startService()
        (listener,) = (one for one in self.gateway if isinstance(one, Listener))
        host: Any = listener.port
        self.port = host.getHost().port
        (self.sessions,) = (one for one in self.gateway if isinstance(one, Sessions))
        self.calls = self.sessions._calls

    def _config(self, vendor: int, pair: tuple[Path, Path]) -> str:
        listens = "host: 127.0.0.1, port: 0, drain_s: 0"
        scheme, host = "http", "127.0.0.1"
        if self.is_secure:
            listens += f", tls: {{enabled: true, cert_path: {pair[0]}, key_path: {pair[1]}}}"
            scheme, host = "https", "localhost"
        return f"""
server: {{{listens}}}
security: {{rate_limit_requests_per_second: 100000, max_connections_per_ip: 1000}}
providers: {{deepgram: {{api_key: good, endpoint: "{scheme}://{host}:{vendor}"}}}}
{self.settings}
"""

    async def tearDown(self) -> None:
        await self.gateway.stopService()

    async def _end_peers(self) -> None:
        transport: Any = self.peers.transport
        transport.closeStdin()
        await self.peers.ended

    def visit(self, name: str, times: int = TIMES, at_once: int = AT_ONCE) -> Deferred[Any]:
        """Have so many visitors come and go; fires when the last has gone."""
        return self.peers.order(
            visit=name, times=times, at_once=at_once, at=self.port, is_secure=self.is_secure
        )

    async def nobody_is_here(self) -> None:
        """Wait until the gateway is done with all who came."""
        await until(lambda: not self.calls.live, "calls do not end")
        for _ in range(10):
            await deferLater(reactor, 0.01)  # type: ignore[arg-type]

    def look(self, is_asked: bool = True) -> Counter[str]:
        """What the garbage collector finds."""
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        gc.set_debug(0)
        found = left(gc.garbage) if is_asked else Counter[str]()
        gc.garbage.clear()
        gc.collect()  # what was looked at is still there, and would be found again
        return found

    async def leave(self, *visits: str, at_once: int = AT_ONCE) -> None:
        """Visits of all these kinds leave nothing."""
        found: dict[str, dict[str, int]] = {}
        gc.disable()
        for name in visits:
            for times in (WARM_UP, TIMES):
                answer = await self.visit(name, times, at_once)
                self.assertEqual(answer["said"], "", name)
                await self.nobody_is_here()
                litter = self.look(is_asked=times == TIMES)
            if litter:
                found[name] = dict(litter.most_common(40))
        self.assertEqual(found, {}, told(found))


def told(found: dict[str, dict[str, int]]) -> str:
    """For the one who has to find the circle."""
    return "\n".join(
        f"{number:6} {name} after {TIMES} visits of the kind {visit}"
        for visit, litter in found.items()
        for name, number in litter.items()
    )


class CallTests(LitterCase):
    async def test_calls(self) -> None:
        """Calls leave nothing, whatever was said in them."""
        await self.leave(
            "plain", "twice_configured", "listening_only", "cleared", "protected", "interrupted",
            "unconfigured", "vanishing", "silent_end", "violating", "refused_config",
        )  # fmt: skip

    async def test_requests(self) -> None:
        """Requests leave nothing, whole and broken off, good and bad."""
        await self.leave(
            "refused_upgrade", "refused_body", "spoken", "spoken_cached", "spoken_refused",
            "abandoned",
        )  # fmt: skip

    async def test_vendors(self) -> None:
        """Calls whose vendors fail them leave nothing."""
        await self.leave(
            "refused_key", "redialled", "lost", "dismissed", "silenced", "busy", "broken_off"
        )
