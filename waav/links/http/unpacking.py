"""Answers that come compressed although nobody asked for it."""

import zlib
from typing import Final

_GZIP: Final = frozenset({"gzip", "x-gzip"})


class Unreadable(Exception):
    """The answer is compressed in a way that nobody asked for, or its compressed bytes are broken"""


class Unpacker:
    """Takes ``gzip`` and ``deflate`` apart as the bytes come.

    Args:
        coding: of ``Content-Encoding``.

    Raises:
        Unreadable: it is another one.
    """

    def __init__(self, coding: str) -> None:
        if coding not in _GZIP and coding != "deflate":
            raise Unreadable
        self._is_gzip = coding in _GZIP
        self._inflate = zlib.decompressobj(31) if self._is_gzip else None
        self._has_begun = False

    def feed(self, data: bytes, most: int) -> bytes:
        """What ``data`` unpacks to, as far as it is not more than ``most`` bytes; the rest is lost.

        Raises:
            Unreadable: it is broken.
        """
        made = b""
        try:
            while data and len(made) <= most:
                if self._inflate is None:
                    self._inflate = zlib.decompressobj(_deflate_bits(data))
                if self._inflate.eof:
                    if not self._is_gzip:
                        break
                    self._inflate = zlib.decompressobj(31)  # another member (RFC 1952, 2.2)
                self._has_begun = True
                made += self._inflate.decompress(data, most + 1 - len(made))
                data = self._inflate.unused_data
        except zlib.error as error:
            raise Unreadable from error
        return made

    @property
    def is_whole(self) -> bool:
        """Whether the compressed bytes ended where they should."""
        return not self._has_begun or (self._inflate is not None and self._inflate.eof)


def _deflate_bits(data: bytes) -> int:
    """Half of the servers leave out the header that ``deflate`` has: it says method 8 in its first half byte."""
    return 15 if data[0] & 0x0F == 8 and (data[0] >> 4) <= 7 else -15


def unpacker_for(headers: dict[str, str]) -> Unpacker | None:
    """What unpacks the answer with these headers; None if it needs none. Headers about the packing are dropped.

    Raises:
        Unreadable: nothing we have does.
    """
    coding = headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return None
    unpacker = Unpacker(coding)
    headers.pop("content-encoding")
    headers.pop("content-length", None)
    return unpacker
