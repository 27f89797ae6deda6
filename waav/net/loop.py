"""The event loop that the gateway runs on."""

from twisted.internet import asyncioreactor


def install_reactor() -> None:
    """Install the reactor; must come before anything imports ``twisted.internet.reactor``."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        asyncioreactor.install()
    else:
        asyncioreactor.install(new_event_loop())
