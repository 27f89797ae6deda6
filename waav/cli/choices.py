"""Options that several commands have, and how they are read."""

import argparse
import os
from dataclasses import replace
from pathlib import Path

from waav.cli.client import DEFAULT_URL, Address
from waav.config.load import PRECEDENCES, Loaded, given_by, load
from waav.errors import ConfigError
from waav.registry import Registry


def config_options() -> argparse.ArgumentParser:
    """Which configuration: for commands that read one."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("-c", "--config", metavar="FILE", type=Path, help="YAML configuration file")
    shared.add_argument(
        "--config-precedence",
        choices=PRECEDENCES,
        help="which wins where both say something (default: yaml)",
    )
    shared.add_argument(
        "--lenient-config", action="store_true", help="unknown keys are warnings, not errors"
    )
    shared.add_argument(
        "--env-file",
        metavar="FILE",
        type=Path,
        default=Path(".env"),
        help="environment variables, NAME=value; need not exist (default: .env)",
    )
    return shared


def client_options() -> argparse.ArgumentParser:
    """Which gateway: for commands that talk to one."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--url",
        type=_address,
        default=os.environ.get("WAAV_URL") or DEFAULT_URL,
        help=f"where the gateway is (default: $WAAV_URL, else {DEFAULT_URL})",
    )
    shared.add_argument(
        "--ca",
        type=Path,
        metavar="FILE",
        help="PEM certificates to trust, for a gateway with a certificate of its own making",
    )
    return shared


def address_of(options: argparse.Namespace) -> Address:
    """Where the gateway is, and whose certificate is believed.

    Raises:
        OSError, ConfigError: the file of certificates is of no use.
    """
    address: Address = replace(options.url, ca=options.ca)
    try:
        address.trust  # noqa: B018  # tells now what is wrong with it
    except ValueError as error:
        raise ConfigError(str(error), "--ca") from None
    except OSError as error:
        raise OSError(f"cannot read {options.ca}: {error.strerror}") from None
    return address


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def load_from(options: argparse.Namespace) -> Loaded:
    """The configuration that the options ask for."""
    return load(
        Registry.discover(),
        options.config,
        environ=os.environ,
        dotenv=options.env_file,
        precedence=options.config_precedence,
        is_lenient=options.lenient_config,
        given=given_by(lambda name: getattr(options, name.replace("-", "_"), None)),
    )
