"""Finds and opens files in a Python package index: PEP 503 pages and PEP 691 JSON, over http and https only.

Proxy variables (``HTTPS_PROXY`` and so on) are honoured. Which index, and which certificates, is what pip is
configured to use, unless the gateway's own setting says otherwise; ``extra-index-url`` and ``find-links`` are not
looked at.
"""

import base64
import configparser
import email.message
import http.client
import json
import os
import re
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from waav.errors import ConfigError, ModelMissing

PYPI: Final = "https://pypi.org/simple"
_PAGE_LIMIT: Final = 32 * 1024 * 1024
_TIMEOUT_S: Final = 60.0
_ACCEPT: Final = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


def find(package: str, file_name: str, index_url: str | None = None) -> str:
    """The address of one file of a package.

    Args:
        index_url: as configured; None: pip's own (``configured``).

    Raises:
        ModelMissing: the index cannot be reached or has no such file.
    """
    base = (index_url or configured("index-url") or PYPI).rstrip("/")
    project = re.sub(r"[-_.]+", "-", package).lower()
    page_url = f"{base}/{project}/"
    with opened(page_url, {"Accept": _ACCEPT}) as answer:
        page = read(answer, _PAGE_LIMIT)
        content_type = answer.headers.get_content_type()
        landed = answer.geturl()
    for name, address in _links(page, content_type):
        if name == file_name:
            return _with_login(urljoin(landed, address), page_url)
    raise ModelMissing(f"{_shown(page_url)} has no {file_name}")


def opened(address: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
    """A connection that answers 200, 206 or 416 (range not satisfiable); the caller closes it.

    Raises:
        ModelMissing: anything else, naming the address without its password.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{_shown(address)} is no http(s) address", "models.index_url")
    request = urllib.request.Request(_without_login(address), headers=dict(headers))
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        # Unredirected: the password is for this server only.
        request.add_unredirected_header(
            "Authorization", f"Basic {base64.b64encode(login).decode('ascii')}"
        )
    try:
        answer: http.client.HTTPResponse = _opener().open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as refusal:
        refusal.close()
        raise ModelMissing(f"{_shown(address)} answered HTTP {refusal.code}") from None
    except (OSError, http.client.HTTPException) as problem:
        reason = getattr(problem, "reason", problem)
        raise ModelMissing(f"cannot fetch {_shown(address)}: {reason}") from None
    return answer


def read(answer: http.client.HTTPResponse, limit: int) -> bytes:
    """The next bytes of an answer, b"" at its end.

    Raises:
        ModelMissing: the connection broke.
    """
    try:
        return answer.read(limit)
    except http.client.IncompleteRead as broken:
        return broken.partial
    except (OSError, http.client.HTTPException) as problem:
        raise ModelMissing(
            f"the connection broke ({problem}); run waav init again to go on"
        ) from None


def configured(name: str) -> str | None:
    """One of pip's settings: from its environment variable, else from its configuration files.

    The last of these files that has it wins, as in pip: global, user, virtual environment, ``PIP_CONFIG_FILE``.
    """
    from_environment = os.environ.get(f"PIP_{name.upper().replace('-', '_')}")
    if from_environment:
        return from_environment
    own = os.environ.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return None
    home = Path.home()
    user = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path("/etc/pip.conf"), home / ".pip/pip.conf", user / "pip/pip.conf"]
    files += [Path(sys.prefix) / "pip.conf"] + ([Path(own)] if own else [])
    found = None
    for file in files:
        # pip allows "install" options to override "global" ones, and values that contain %.
        settings = configparser.RawConfigParser()
        try:
            settings.read(file, "utf-8")
        except (configparser.Error, UnicodeDecodeError):
            raise ConfigError(
                f"{file} is not a pip configuration file", "models.index_url"
            ) from None
        for section in ("global", "install"):
            found = settings.get(section, name, fallback=found)
    return found


def _links(page: bytes, content_type: str) -> list[tuple[str, str]]:
    if content_type.endswith("json"):
        try:
            return [(row["filename"], row["url"]) for row in json.loads(page)["files"]]
        except (ValueError, KeyError, TypeError):
            raise ModelMissing("the package index answered JSON that is no PEP 691 page") from None
    anchors = _Anchors()
    anchors.feed(page.decode("utf-8", "replace"))
    return anchors.links


class _Anchors(HTMLParser):
    """File name and address of every link of a PEP 503 page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get("href") if tag == "a" else None
        if address:
            address = address.partition("#")[0]
            self.links.append((unquote(urlsplit(address).path.rpartition("/")[2]), address))


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https; urllib's own would follow one to ftp as well."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage | email.message.Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise urllib.error.URLError(f"redirected to {urlsplit(newurl).scheme}:")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


class _Answers(urllib.request.HTTPErrorProcessor):
    """Lets 416 through, which is an answer to a question of ours and no failure."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response if response.status == 416 else super().http_response(request, response)

    https_response = http_response


def _opener() -> urllib.request.OpenerDirector:
    """Without the file, ftp and data handlers of urllib's default."""
    opener = urllib.request.OpenerDirector()
    certificates = configured("cert")
    secure = ssl.create_default_context(cafile=certificates)
    handlers: tuple[Any, ...] = (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=secure),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        _Answers(),
    )
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def _without_login(address: str) -> str:
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _with_login(address: str, page_url: str) -> str:
    """A private index usually wants its password for the files as well; other hosts never get it."""
    page, file = urlsplit(page_url), urlsplit(address)
    login, at, host = page.netloc.rpartition("@")
    if not at or file.netloc != host or file.scheme != page.scheme:
        return address
    return urlunsplit(file._replace(netloc=f"{login}@{host}"))


def _shown(address: str) -> str:
    """The address without password and query, which may hold a token."""
    parts = urlsplit(_without_login(address))
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
