"""The headers that every answer carries, whatever it is (S-CFG-34)."""

from typing import Final

SECURITY: Final = (("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"))
