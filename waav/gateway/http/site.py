"""The HTTP side of the gateway: everything that answers on its port."""

from io import BytesIO
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.http import Request
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from twisted.web.server import Site

from waav.gateway.admission.address import Addresses
from waav.gateway.admission.connection_figures import ConnectionFigures
from waav.gateway.admission.door import Admission, Door
from waav.gateway.admission.limiter import OFF_FROM, Limiter
from waav.gateway.console.page import Console, load
from waav.gateway.http.channel import Channel
from waav.gateway.http.cors import Cors
from waav.gateway.http.headers import SECURITY
from waav.gateway.http.request import GatewayRequest
from waav.gateway.http.routing import Routes
from waav.gateway.routes.api import Api
from waav.gateway.routes.speak import Begin
from waav.gateway.settings import ConsoleSettings, SecuritySettings, SpeechDefaults
from waav.gateway.voice.ws import VoiceFactory
from waav.session.synthesis import synthesize
from waav.session.world import World


class RateLimit(Protocol):
    """Says how often one caller may ask: ``Limiter``, or one that several processes share."""

    @property
    def is_on(self) -> bool:
        """Whether anything is limited at all."""

    def take(self, key: str) -> float:
        """Ask for one request: 0.0, or the seconds until one would be let through."""


class GatewaySite(Site):
    """Finds the resource for a path. What comes before that is in ``GatewayRequest``.

    Every path also answers under ``/api``.

    Args:
        rest: the routes.
        children: resources by the first part of the path, which they get to themselves.
        limiter: how often callers may ask; None: as ``security`` says, in this process.

    Attributes:
        figures: what is counted of requests.
        unlimited: paths that may be read however often: the health check, and the files of the console, of
            which a browser asks for thirty in one moment.
    """

    protocol = Channel  # type: ignore[assignment]  # itself: nothing here switches to HTTP/2
    requestFactory = GatewayRequest
    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        security: SecuritySettings,
        rest: IResource,
        children: dict[bytes, IResource],
        limiter: RateLimit | None = None,
    ) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            rest, reactor=reactor, parsePOSTFormSubmission=False
        )
        self._rest = rest
        self.addresses = Addresses(security.trusted_proxies)
        self.cors = Cors(security.cors_allowed_origins)
        self.limiter: RateLimit = limiter or Limiter(
            reactor, security.rate_limit_requests_per_second, security.rate_limit_burst_size
        )
        self.unlimited = {b"/", b"/api", b"/api/", b"/ready", b"/api/ready"}
        self.max_body_bytes = security.max_body_bytes
        self.figures = ConnectionFigures()
        self._children = children
        if not self.limiter.is_on:
            self._log.warn(
                "the request limiter is off: security.rate_limit_requests_per_second is {limit} or more",
                limit=OFF_FROM,
            )

    def getResourceFor(self, request: IRequest) -> IResource:
        path = request.postpath
        if path[0] == b"api":
            request.prepath.append(path.pop(0))
            path.extend([] if path else [b""])
        child = self._children.get(path[0])
        if child is None:
            return self._rest
        request.prepath.append(path.pop(0))
        return child

    def getContentFile(self, length: int | None) -> BytesIO:
        """Where a body is kept while it comes: in memory, for it is small and nobody's business on a disk."""
        return BytesIO()

    def acceptableProtocols(self) -> list[bytes]:
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """No access log of twisted.web, and no timer that wakes up each second to keep its clock."""

    def stopFactory(self) -> None:
        """Nothing was started."""

    def log(self, request: Request) -> None:
        """``GatewayRequest`` logs its own line."""


def build_site(
    reactor: IReactorTime,
    world: World,
    security: SecuritySettings,
    defaults: SpeechDefaults,
    console: ConsoleSettings,
    voice_factory: VoiceFactory,
    slots: Admission,
    *,
    metrics: IResource | None = None,
    begin: Begin = synthesize,
    limiter: RateLimit | None = None,
) -> GatewaySite:
    """Everything on the port, put together; listens to nothing itself.

    Args:
        metrics: what answers at ``/metrics``; None: nothing does.
        begin: how ``POST /speak`` starts a synthesis.
        limiter: see ``GatewaySite``.
    """
    api = Api(world, defaults, voice_factory.calls, begin)
    rest = Routes(api.app, api.explain)
    children: dict[bytes, IResource] = {}
    site = GatewaySite(reactor, security, rest, children, limiter)
    site.figures = voice_factory.calls.figures
    voice_factory.headers.update(SECURITY)
    children[b"ws"] = Door(voice_factory, slots, site.cors)
    if console.enabled:
        pages = load()
        children[b"console"] = Console(pages)
        for path in pages:
            site.unlimited |= {f"{under}/console{path}".encode() for under in ("", "/api")}
    if metrics is not None:
        children[b"metrics"] = metrics
    return site
