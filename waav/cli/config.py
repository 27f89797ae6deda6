"""``waav config``: check, show or write a configuration."""

import argparse
import sys
from typing import Any

from waav.cli.choices import load_from
from waav.cli.exits import OK
from waav.config.load import check_models
from waav.config.text import manual, sample, shown
from waav.registry import Registry


def add(commands: Any, config: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("config", help="check, show or write a configuration")
    actions = command.add_subparsers(metavar="ACTION", required=True)
    for name, run, parents, about in (
        ("check", _check, [config], "tell whether the gateway could start with this configuration"),
        ("show", show, [config], "list every value in effect and where it comes from"),
        ("sample", _sample, [], "print a YAML file with every option, its default and its unit"),
        ("manual", _manual, [], "print the page of the manual that describes every option"),
    ):
        secrets = "; secrets are masked" if name == "show" else ""
        text = f"{about[0].upper()}{about[1:]}{secrets}."
        action = actions.add_parser(name, parents=parents, help=about, description=text)
        action.set_defaults(command=run)


def _check(options: argparse.Namespace) -> int:
    loaded = load_from(options)
    for notice in loaded.notices:
        print(f"waav: {notice}", file=sys.stderr)
    check_models(loaded.config)
    print("the configuration can be used")
    return OK


def show(options: argparse.Namespace) -> int:
    """Print every value in effect and where it comes from."""
    loaded = load_from(options)
    for notice in loaded.notices:
        print(f"waav: {notice}", file=sys.stderr)
    print("\n".join(shown(loaded)))
    return OK


def _sample(options: argparse.Namespace) -> int:
    print(sample(Registry.discover()), end="")
    return OK


def _manual(options: argparse.Namespace) -> int:
    print(manual(Registry.discover()), end="")
    return OK
