"""WaaV: a real-time voice gateway on Twisted."""

from typing import Final

__version__: Final = "2.0.0"
