"""``waav serve``: twistd with our plugin, on the asyncio reactor, with uvloop where it is installed."""

import argparse
import sys
from pathlib import Path
from typing import Any

from twisted.python import usage

import twisted.plugins
import waav
from waav.cli.choices import load_from
from waav.cli.config import show
from waav.cli.exits import USAGE
from waav.config.layers import GIVEN
from waav.config.load import check_models, given_by
from waav.net.loop import install_reactor


def add(commands: Any, config: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser(
        "serve",
        parents=[config],
        allow_abbrev=False,
        help="run the gateway",
        description="Run the gateway, in the foreground unless --daemon is given.",
        epilog="Every other option is handed to twistd, which runs it: --logfile, --pidfile, --syslog, --uid, "
        "--gid, --umask, --chroot, --rundir, --profile and so on; see twistd --help.",
    )
    command.add_argument("--daemon", action="store_true", help="run in the background")
    command.add_argument(
        "--host", metavar="ADDRESS", help="address to listen on (default: 0.0.0.0)"
    )
    command.add_argument(
        "--port", metavar="N", help="port to listen on; 0 takes a free one (default: 3001)"
    )
    command.add_argument(
        "--log-level", metavar="LEVEL", help="debug, info, warn or error (default: info)"
    )
    command.add_argument(
        "--workers",
        metavar="N",
        help="processes that share the port: a number, or auto (default: 1)",
    )
    command.add_argument(
        "--check-config", action="store_true", help="only check the configuration and show it"
    )
    command.set_defaults(command=serve)


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
    said = given_by(lambda name: getattr(options, name.replace("-", "_")))
    mine += [f"--{name}={said[path]}" for name, path in GIVEN.items() if path in said]
    return [*arguments, *given, "waav", *mine]


def reveal_plugin() -> None:
    """Have twistd look beside this package: there is its plugin after ``pip install -e``, and nothing leads there."""
    folder = Path(waav.__file__).parent.parent / "twisted" / "plugins"
    if str(folder) not in twisted.plugins.__path__ and folder.is_dir():
        twisted.plugins.__path__.append(str(folder))


def serve(options: argparse.Namespace) -> int:
    """Run until told to stop; returns the exit code."""
    if options.check_config:
        check_models(load_from(options).config)
        return show(options)
    install_reactor()
    reveal_plugin()
    # Only now: twistd's modules import the reactor.
    from twisted.scripts import twistd as runner

    twistd: Any = runner.ServerOptions()  # type: ignore[no-untyped-call, attr-defined]
    try:
        twistd.parseOptions(twistd_arguments(options))
    except usage.UsageError as error:
        sys.stderr.write(f"waav serve: {error}\n")
        return USAGE
    runner.runApp(twistd)
    return 0
