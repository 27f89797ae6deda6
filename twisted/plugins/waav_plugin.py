"""Tells twistd about ``twistd waav``."""

from twisted.application.service import ServiceMaker

waav = ServiceMaker("WaaV", "waav.tap", "A real-time voice gateway.", "waav")
