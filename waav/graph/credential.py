"""Telling accounts apart without giving them away."""

import hashlib

from waav.secret import Secret
from waav.speech.provider import Account

# Public on purpose: file caches outlive the process, and a key cannot be guessed from its hash.
_SALT = b"waav answers"


def fingerprint(account: Account) -> str:
    """What the cache keys of an account's answers have in common; "" without any credential."""
    secrets = {name: one for name, one in account.credentials.items() if isinstance(one, Secret)}
    if account.key is not None:
        secrets["key"] = account.key
    if not secrets:
        return ""
    parts = [f"{name}={secrets[name].fingerprint(_SALT)}" for name in sorted(secrets)]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()
