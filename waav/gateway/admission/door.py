"""The way to ``/ws``: what is checked in HTTP, where a refusal can have a body, before the connection becomes
a WebSocket."""

# mypy: allow-untyped-calls
# Our requests and channels inherit from classes of twisted.web that have no annotations.

from typing import Final, Protocol

from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from waav.errors import TooMany
from waav.gateway.admission.live import ShuttingDown
from waav.gateway.admission.slots import AtCapacity, Slot
from waav.gateway.http.cors import Cors
from waav.gateway.http.replies import empty_answer, error_answer, text_answer, whole_seconds
from waav.gateway.http.request import GatewayRequest
from waav.gateway.voice.ws import VoiceFactory

_VERSION: Final = "13"  # RFC 6455 4.4: the only one there is


class Admission(Protocol):
    """Counts who is in: ``Slots``, or what several processes count with."""

    def take(self, address: str) -> Slot:
        """Count one more connection, or raise ``TooMany`` and count nothing."""


@implementer(IResource)
class Door:
    """Lets a request in to the WebSocket, or says why not.

    A slot is taken only by requests that get as far as the upgrade; it goes with the connection from there.
    """

    isLeaf = True

    def __init__(self, factory: VoiceFactory, slots: Admission, cors: Cors) -> None:
        self._factory = factory
        self._slots = slots
        self._cors = cors
        self._refused = factory.calls.figures.refused

    def render(self, request: GatewayRequest) -> bytes | int:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        address = request.client_address
        try:
            slot = self._slots.take(address)
        except TooMany as error:
            self._refused["total" if isinstance(error, AtCapacity) else "address"] += 1
            request.setHeader("retry-after", str(whole_seconds(error.retry_after_s)))
            return text_answer(request, error.status, error.message)
        try:
            answer = self._factory.serve(request, slot, address)
        except BaseException:
            slot.release()
            raise
        if answer == NOT_DONE_YET:
            request.log_line(101)
            request.channel.taken_over()
        return answer

    def _refusal(self, request: GatewayRequest) -> bytes | None:
        if request.postpath:
            return error_answer(request, 404, "Not found")
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("allow", "GET, HEAD")
            return empty_answer(request, 405)
        if request.clientproto != b"HTTP/1.1":
            request.setHeader("upgrade", "websocket")
            return text_answer(request, 426, "A WebSocket needs HTTP/1.1")
        if request.method == b"HEAD" or not _asks_for_upgrade(request):
            return text_answer(request, 400, "Connection header did not include 'upgrade'")
        if request.getHeader("sec-websocket-version") != _VERSION:
            request.setHeader("sec-websocket-version", _VERSION)
            request.setHeader("upgrade", "websocket")
            return text_answer(request, 426, "Only WebSocket version 13 is spoken here")
        if not request.getHeader("sec-websocket-key"):
            return text_answer(request, 400, "Sec-WebSocket-Key header is missing")
        if not self._cors.may_upgrade(request.getHeader("origin"), request.asked_host):
            return text_answer(request, 403, "Origin not allowed")
        if not self._factory.calls.is_open:
            self._refused["shutdown"] += 1
            error = ShuttingDown()
            return text_answer(request, error.status, error.message)
        return None

    def getChildWithDefault(self, name: bytes, request: IRequest) -> IResource:
        return self

    def putChild(self, path: bytes, child: IResource) -> None:
        raise TypeError("a WebSocket has no children")


def _asks_for_upgrade(request: IRequest) -> bool:
    return "upgrade" in _tokens(request, "connection") and "websocket" in _tokens(
        request, "upgrade"
    )


def _tokens(request: IRequest, name: str) -> set[str]:
    lines = request.requestHeaders.getRawHeaders(name, [])
    return {token.strip().lower() for line in lines for token in line.split(",")}
