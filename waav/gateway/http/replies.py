"""Answers to HTTP requests: JSON, plain text, nothing. Each function returns the body for the resource to
return, and sets the status and headers that go with it."""

import gzip
import json
import math
from typing import Any, Final

from twisted.web.iweb import IRequest

from waav.errors import WaavError

_COMPRESS_FROM: Final = 1024
"""Bytes of JSON below which gzip costs more than it saves."""

_LIGHT: Final = (
    5  # gzip level: a 200 kB list of voices takes 3 ms instead of 8 at a tenth more bytes
)


def json_answer(request: IRequest, status: int, value: Any) -> bytes:
    """JSON, compressed where it is worth it and the caller accepts it."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    if len(body) > _COMPRESS_FROM:
        request.responseHeaders.addRawHeader(b"vary", b"Accept-Encoding")
        if accepts_gzip(request.getHeader("accept-encoding") or ""):
            request.setHeader(b"content-encoding", b"gzip")
            body = gzip.compress(body, _LIGHT, mtime=0)
    request.setHeader(b"content-length", b"%d" % len(body))
    return body


def error_answer(
    request: IRequest, status: int, text: str, retry_after_s: float | None = None
) -> bytes:
    """An error as both kinds of SDK read it: ``error`` and ``message`` say the same."""
    if retry_after_s is not None:
        request.setHeader(b"retry-after", b"%d" % whole_seconds(retry_after_s))
    return json_answer(request, status, {"error": text, "message": text})


def waav_answer(request: IRequest, error: WaavError) -> bytes:
    """An error of ours, with its own status."""
    wait_s = getattr(error, "retry_after_s", None)
    return error_answer(request, error.status, error.message, wait_s)


def text_answer(request: IRequest, status: int, text: str) -> bytes:
    """A sentence of plain text."""
    body = text.encode()
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    request.setHeader(b"content-length", b"%d" % len(body))
    return body


def empty_answer(request: IRequest, status: int) -> bytes:
    """A status and nothing else."""
    request.setResponseCode(status)
    request.setHeader(b"content-length", b"0")
    return b""


def whole_seconds(seconds: float) -> int:
    """For ``Retry-After``: rounded up, at least one."""
    return max(1, math.ceil(seconds))


def accepts_gzip(header: str) -> bool:
    """Whether an ``Accept-Encoding`` allows gzip; ``q=0`` does not."""
    allowed: dict[str, bool] = {}
    for item in header.lower().split(","):
        name, _, parameters = item.strip().partition(";")
        weight = parameters.strip().removeprefix("q=").strip()
        allowed[name.strip()] = not weight or weight.strip("0.") != ""
    return allowed.get("gzip", allowed.get("*", False))
