"""Form uploads (RFC 7578), put together without randomness so that equal content gives equal bytes."""

import hashlib
from collections.abc import Iterable


def encode(
    name: str, filename: str, content_type: str, data: bytes, fields: Iterable[tuple[str, str]]
) -> tuple[str, bytes]:
    """One file and some fields, in that order.

    Returns:
        The ``Content-Type`` of the request, and its body.
    """
    boundary = "waav" + hashlib.blake2b(data, digest_size=16).hexdigest()
    parts = [
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        f"Content-Type: {content_type}\r\n\r\n".encode(),
        data,
        b"\r\n",
    ]
    for field, value in fields:
        parts.append(
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        )
    parts.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", b"".join(parts)
