"""Tells twistd about ``twistd waav``."""

import sys
from typing import Any

from twisted.application.service import ServiceMaker


class _Maker(ServiceMaker):  # type: ignore[misc]
    @property
    def options(self) -> Any:
        """Twistd asks when the word ``waav`` was given, and has then obeyed its own ``--reactor``."""
        if "twisted.internet.reactor" not in sys.modules:
            from waav.net.loop import install_reactor

            install_reactor()
        return super().options


waav = _Maker("WaaV", "waav.tap", "A real-time voice gateway.", "waav")
