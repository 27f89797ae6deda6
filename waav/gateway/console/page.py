"""The web page at ``/console``: the files of the folder ``static``, read once at start."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from zope.interface import implementer

from waav.gateway.http.replies import empty_answer, error_answer

FOLDER: Final = Path(__file__).parent / "static"

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "media-src 'self' blob:; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".wav": "audio/wav",
    ".wasm": "application/wasm",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}

# A relative src or href; at /console, without the slash, such a path would start at the root.
_RELATIVE: Final = re.compile(rb'\b(src|href)="(?![a-z][a-z0-9+.-]*:|[/#"])')


@dataclass(frozen=True, slots=True)
class Page:
    """One file, ready to be sent."""

    body: bytes
    content_type: str
    etag: str


def load(folder: Path = FOLDER) -> dict[str, Page]:
    """Every file of the folder with a type we know, by its path below ``/console``.

    ``""`` and ``"/"`` are ``index.html`` as it must be at ``/console`` and at ``/console/``.
    """
    pages: dict[str, Page] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in _TYPES:
            pages["/" + path.relative_to(folder).as_posix()] = _page(path.read_bytes(), path.suffix)
    index = pages.get("/index.html")
    if index is not None:
        pages["/"] = index
        pages[""] = _page(_RELATIVE.sub(rb'\1="console/', index.body), ".html")
    return pages


def _page(body: bytes, suffix: str) -> Page:
    return Page(body, _TYPES[suffix], f'"{blake2b(body, digest_size=12).hexdigest()}"')


@implementer(IResource)
class Console:
    """Serves the pages to GET and HEAD, under a policy that lets them load nothing from elsewhere."""

    isLeaf = True

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self._pages = pages

    def render(self, request: IRequest) -> bytes:
        below = b"/".join(request.postpath).decode("utf-8", "replace")
        page = self._pages.get(("/" + below) if request.postpath else "")
        if page is None:
            return error_answer(request, 404, "Not found")
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"allow", b"GET, HEAD")
            return empty_answer(request, 405)
        request.setHeader("content-security-policy", POLICY)
        request.setHeader("permissions-policy", "microphone=(self)")
        request.setHeader("cache-control", "no-cache")
        request.setHeader("etag", page.etag)
        if page.etag in (request.getHeader("if-none-match") or "").replace("W/", ""):
            request.setResponseCode(304)
            return b""
        request.setHeader("content-type", page.content_type)
        if request.method == b"HEAD":
            request.setHeader("content-length", str(len(page.body)))
            return b""
        return page.body

    def getChildWithDefault(self, name: bytes, request: IRequest) -> IResource:
        return self

    def putChild(self, path: bytes, child: IResource) -> None:
        raise TypeError("the console has no children")
