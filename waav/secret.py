"""One type for everything that must not be printed."""

import hashlib
import hmac
from typing import Self


class Secret:
    """A key, token or password. Shows as ``***`` wherever it is printed; ``reveal`` gives the text.

    Secrets compare in constant time. They cannot be pickled, so none ends in a cache by accident.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: only for the place that puts it on the wire."""
        return self._text

    def fingerprint(self, salt: bytes) -> str:
        """32 hex digits that tell two secrets apart without giving either away."""
        if len(salt) > hashlib.blake2b.MAX_KEY_SIZE:
            salt = hashlib.blake2b(salt).digest()
        return hashlib.blake2b(self._bytes(), key=salt, digest_size=16).hexdigest()

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._bytes(), other._bytes())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be pickled")

    def _bytes(self) -> bytes:
        # JSON can hold half a surrogate pair, which plain UTF-8 refuses.
        return self._text.encode("utf-8", "surrogatepass")
