"""``waav serve``: twistd with our plugin, on the asyncio reactor, with uvloop where it is installed."""

import argparse
import sys
from typing import Any

from twisted.internet import asyncioreactor
from twisted.python import usage


def install_reactor() -> None:
    """Install the reactor; must come before anything imports ``twisted.internet.reactor``."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        asyncioreactor.install()
    else:
        asyncioreactor.install(new_event_loop())


def twistd_arguments(options: argparse.Namespace) -> list[str]:
    """The command line for twistd. What we do not know ourselves is twistd's."""
    given = list(options.rest)
    arguments = [] if options.daemon else ["--nodaemon"]
    if not any(one == "--pidfile" or one.startswith("--pidfile=") for one in given):
        # In the foreground a pid file in the working directory would only be in the way of a second gateway.
        arguments.append(f"--pidfile={'waav.pid' if options.daemon else ''}")
    if options.daemon and not any(one.startswith(("-l", "--logfile", "--syslog")) for one in given):
        arguments.append("--logfile=waav.log")
    mine = [f"--env-file={options.env_file}"]
    if options.config is not None:
        mine.append(f"--config={options.config}")
    if options.config_precedence is not None:
        mine.append(f"--config-precedence={options.config_precedence}")
    if options.lenient_config:
        mine.append("--lenient-config")
    if options.workers is not None:
        mine.append(f"--workers={options.workers}")
    return [*arguments, *given, "waav", *mine]


def serve(options: argparse.Namespace) -> int:
    """Run until told to stop; returns the exit code."""
    install_reactor()
    # Only now: twistd's modules import the reactor.
    from twisted.scripts import twistd as runner

    twistd: Any = runner.ServerOptions()  # type: ignore[no-untyped-call, attr-defined]
    try:
        twistd.parseOptions(twistd_arguments(options))
    except usage.UsageError as error:
        sys.stderr.write(f"waav serve: {error}\n")
        return 2
    runner.runApp(twistd)
    return 0
