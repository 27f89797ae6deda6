"""Opens links to vendors: the address in the dialogue's opening decides which kind."""

from collections.abc import Callable

from twisted.internet.defer import Deferred

from waav.links.link import Link as Link
from waav.links.link import Sink as Sink
from waav.links.settings import LinkSettings
from waav.speech import wire


class Dialler:
    """Makes connections to vendors; one per process."""

    def __init__(self, reactor: object, settings: LinkSettings) -> None:
        self._reactor = reactor
        self._settings = settings

    def open(
        self,
        provider: str,
        dialogue: Callable[[], wire.Dialogue],
        sink: Sink,
        *,
        fingerprint: str = "",
        dial_s: float | None = None,
        request_s: float | None = None,
        use_cache: bool = True,
    ) -> Deferred[Link]:
        """Begin a conversation; fires when it is ready."""
        raise RuntimeError("links are being built")

    def fetch(self, provider: str, request: wire.Request) -> Deferred[bytes]:
        """The body of one answer."""
        raise RuntimeError("links are being built")

    def stop(self) -> Deferred[None]:
        """Hang up everywhere."""
        raise RuntimeError("links are being built")
