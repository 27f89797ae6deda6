"""One worker of a gateway with several; started by its supervisor, not by people."""

import signal
import sys

from waav.net.loop import install_reactor


def main() -> int:
    """Run until told to stop; returns the exit code."""
    # Ctrl-C goes to all processes of a terminal. What is to happen then is the supervisor's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    install_reactor()
    # Only now: it imports modules that import the reactor.
    from waav.service.worker import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
