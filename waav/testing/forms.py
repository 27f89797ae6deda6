"""Reads form uploads (RFC 7578) as strictly as vendors do."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """One part of a form; files have a name and a type of their own."""

    name: str
    data: bytes
    filename: str | None = None
    content_type: str | None = None


_DISPOSITION = re.compile(
    rb'Content-Disposition: form-data; name="([^"]+)"(?:; filename="([^"]+)")?'
)
_TYPE = re.compile(rb"Content-Type: ([\w/+.-]+)")


def parse(content_type: str, body: bytes) -> list[Field]:
    """All parts in order.

    Raises:
        ValueError: it is not a well-formed form.
    """
    found = re.fullmatch(
        r'multipart/form-data; boundary="?([\w\'()+,./:=?-]{1,70})"?', content_type
    )
    if not found:
        raise ValueError(f"{content_type!r} is no form upload")
    mark = b"--" + found[1].encode()
    first, *parts = (b"\r\n" + body).split(b"\r\n" + mark)
    if first or not parts or parts.pop() != b"--\r\n":
        raise ValueError("the form does not begin and end with its boundary")
    return [_field(part) for part in parts]


def _field(part: bytes) -> Field:
    head, separator, data = part.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")[1:]
    disposition = _DISPOSITION.fullmatch(lines[0]) if lines else None
    if not separator or disposition is None:
        raise ValueError("a part of the form has no proper Content-Disposition")
    kind = _TYPE.fullmatch(lines[1]) if len(lines) == 2 else None
    if len(lines) > 2 or (len(lines) == 2 and kind is None):
        raise ValueError("a part of the form has unexpected headers")
    name, filename = disposition[1].decode(), disposition[2]
    return Field(
        name, data, filename.decode() if filename else None, kind[1].decode() if kind else None
    )
