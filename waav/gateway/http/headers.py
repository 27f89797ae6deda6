"""The headers that every answer carries, whatever it is."""

from typing import Final

SECURITY: Final = (("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"))
