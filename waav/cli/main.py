"""The command ``waav``; what each command does is in the module of its name."""

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

from waav import __version__
from waav.cli import config as configuration
from waav.cli import init, listen, say, serve, voices
from waav.cli.choices import client_options, config_options
from waav.cli.client import NoGateway
from waav.cli.exits import FAILED, MISSING, OK, USAGE
from waav.config.load import ConfigProblems
from waav.errors import ConfigError, WaavError

Command = Callable[[argparse.Namespace], int]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code. Errors are one line on standard error."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words:
        _parser().print_help()
        return OK
    options = chosen(words)
    try:
        command: Command = options.command
        return command(options)
    except ConfigProblems as error:
        for problem in error.problems:
            print(f"waav: {problem}", file=sys.stderr)
    except NoGateway as error:
        print(f"waav: {error.message}", file=sys.stderr)
        return MISSING
    except ConfigError as error:
        print(f"waav: {error.path}: {error}" if error.path else f"waav: {error}", file=sys.stderr)
    except (WaavError, OSError) as error:
        print(f"waav: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return FAILED


def chosen(arguments: list[str]) -> argparse.Namespace:
    """The command and its options; what ``serve`` does not know itself is in ``rest``.

    Raises:
        SystemExit: with exit code 2, after one line, when they make no sense.
    """
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command is not serve.serve:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.rest = rest
    return options


class Parser(argparse.ArgumentParser):
    """Tells a mistake in one line instead of showing all usage."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="waav",
        description="A real-time voice gateway: runs it, talks to it, configures it.",
        epilog="Each command has its own --help.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"waav {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    config, client = config_options(), client_options()
    serve.add(commands, config)
    say.add(commands, client)
    listen.add(commands, client)
    voices.add(commands, client)
    configuration.add(commands, config)
    init.add(commands, config)
    return parser


if __name__ == "__main__":
    sys.exit(main())
