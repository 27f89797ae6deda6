"""Form uploads (RFC 7578): read as strictly as vendors read them, and put together."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form; files have a name and a type of their own."""

    name: str
    data: bytes
    filename: str | None = None
    content_type: str | None = None


_DISPOSITION = re.compile(
    rb'Content-Disposition: form-data; name="([^"]+)"(?:; filename="([^"]+)")?'
)
_TYPE = re.compile(rb"Content-Type: ([\w/+.-]+)")


def parse(content_type: str, body: bytes) -> list[Part]:
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
    return [_read(part) for part in parts]


def _read(part: bytes) -> Part:
    head, separator, data = part.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")[1:]
    disposition = _DISPOSITION.fullmatch(lines[0]) if lines else None
    if not separator or disposition is None:
        raise ValueError("a part of the form has no proper Content-Disposition")
    kind = _TYPE.fullmatch(lines[1]) if len(lines) == 2 else None
    if len(lines) > 2 or (len(lines) == 2 and kind is None):
        raise ValueError("a part of the form has unexpected headers")
    name, filename = disposition[1].decode(), disposition[2]
    return Part(
        name, data, filename.decode() if filename else None, kind[1].decode() if kind else None
    )


def build(parts: list[Part]) -> tuple[str, bytes]:
    """A form with these parts: its content type and its bytes."""
    boundary = "waav-form-boundary"
    pieces = []
    for one in parts:
        head = f'Content-Disposition: form-data; name="{one.name}"'
        if one.filename is not None:
            head += f'; filename="{one.filename}"\r\nContent-Type: {one.content_type}'
        pieces.append(f"--{boundary}\r\n{head}\r\n\r\n".encode() + one.data + b"\r\n")
    body = b"".join([*pieces, f"--{boundary}--\r\n".encode()])
    return f"multipart/form-data; boundary={boundary}", body
