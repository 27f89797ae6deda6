"""``twistd waav``: what it can be told, and what it runs."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO, cast

from twisted.logger import ILogObserver
from twisted.python import usage
from twisted.python.logfile import LogFile

from waav import __version__
from waav.config.checks import workers_of
from waav.config.load import (
    PRECEDENCES,
    ConfigProblems,
    Loaded,
    check_models,
    given_by,
    load,
)
from waav.config.text import shown
from waav.errors import ConfigError
from waav.ops.logs import LineObserver
from waav.registry import Registry
from waav.service.build import begin
from waav.service.parts import Gateway
from waav.service.probe import refuse_taken_ports

_observer: Callable[[], ILogObserver] | None = None


def chosen_observer() -> ILogObserver:
    """The log observer that the configuration asks for; twistd finds this function by its name."""
    if _observer is None:
        raise RuntimeError("the options of waav have not been read")
    return _observer()


class Options(usage.Options):
    """The gateway's own options; twistd's come before the word waav."""

    synopsis = "[options]"
    longdesc = "A real-time voice gateway."
    optParameters = (
        ["config", "c", None, "YAML configuration file."],
        ["config-precedence", None, None, "Which wins where both say something: yaml or env."],
        ["env-file", None, ".env", "File with environment variables; need not exist."],
        ["host", None, None, "Address to listen on."],
        ["port", None, None, "Port to listen on; 0 takes a free one."],
        ["workers", None, None, "Processes that share the port: a number, or auto."],
        ["log-level", None, None, "What is logged: debug, info, warn, error."],
    )
    optFlags = (
        ["lenient-config", None, "Unknown keys are warnings, not errors."],
        ["check-config", None, "Check the configuration, show it, and exit."],
    )
    loaded: Loaded
    registry: Registry

    def opt_version(self) -> None:
        """Show the version and exit."""
        sys.stdout.write(f"waav {__version__}\n")
        raise SystemExit(0)

    def postOptions(self) -> None:
        """Read the configuration: what is wrong with it is told before anything else happens."""
        precedence = self["config-precedence"]
        if precedence is not None and precedence not in PRECEDENCES:
            raise usage.UsageError("--config-precedence is yaml or env")
        try:
            self.registry = Registry.discover()
            self.loaded = load(
                self.registry,
                None if self["config"] is None else Path(self["config"]),
                environ=os.environ,
                dotenv=Path(self["env-file"]),
                precedence=precedence,
                is_lenient=bool(self["lenient-config"]),
                given=given_by(self.get),
            )
            check_models(self.loaded.config)
        except ConfigProblems as error:
            refuse(*(str(problem) for problem in error.problems))
        except ConfigError as error:
            refuse(f"{error.path}: {error.message}" if error.path else error.message)
        self._check_root()
        if self["check-config"]:
            sys.stdout.write("\n".join([*self.loaded.notices, *shown(self.loaded), ""]))
            raise SystemExit(0)
        self._choose_log()

    def _check_root(self) -> None:
        """Workers are started again and again: what they are made of must be there after a ``--chroot``."""
        has_moved = self.parent is not None and self.parent.get("chroot")
        if has_moved and workers_of(self.loaded.config.server.workers) > 1:
            refuse("server.workers: more than one does not go together with --chroot")

    def _choose_log(self) -> None:
        """Have twistd log our lines where its own options say, unless they name an observer or syslog."""
        global _observer
        twistd = self.parent
        if twistd is None or twistd.get("logger") or twistd.get("syslog"):
            return
        name, is_foreground = twistd.get("logfile"), bool(twistd.get("nodaemon"))
        settings = self.loaded.config.logging
        if name == "-" and not is_foreground:
            raise usage.UsageError("a daemon cannot log to standard output")
        _observer = lambda: LineObserver(_log_file(name, is_foreground), settings)  # noqa: E731
        twistd["logger"] = "waav.tap.chosen_observer"


def _log_file(name: str | None, is_foreground: bool) -> TextIO:
    if name == "-" or (is_foreground and not name):
        return sys.stdout
    return cast(TextIO, LogFile.fromFullPath(name or "waav.log", rotateLength=None))


def refuse(*lines: str) -> None:
    """End with exit code 1 and a line for each thing that is wrong."""
    for line in lines:
        sys.stderr.write(f"waav: {line}\n")
    raise SystemExit(1)


def makeService(options: Options) -> Gateway:
    """The gateway that the options describe; nothing is started."""
    from twisted.internet import reactor as running

    reactor: Any = running
    refuse_taken_ports(options.loaded.config)
    gateway = begin(reactor, options.loaded, options.registry)
    twistd = options.parent
    gateway.is_daemon = twistd is not None and not twistd.get("nodaemon")
    return gateway
