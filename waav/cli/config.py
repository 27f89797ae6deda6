"""``waav config``: check, show or write a configuration."""

import argparse
import json
import sys
from typing import Any

from waav.cli.choices import load_from
from waav.cli.exits import OK
from waav.config.load import Loaded, check_models
from waav.config.options import closest, elsewhere
from waav.config.text import DEFAULT, effective, line, manual, sample, shown
from waav.errors import ConfigError
from waav.registry import Registry


def add(commands: Any, config: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("config", help="check, show or write a configuration")
    actions = command.add_subparsers(metavar="ACTION", required=True)
    for name, run, parents, about in (
        ("check", _check, [config], "tell whether the gateway could start with this configuration"),
        ("show", _show, [config], "list every value in effect and where it comes from"),
        ("sample", _sample, [], "print a YAML file with every option, its default and its unit"),
        ("manual", _manual, [], "print the page of the manual that describes every option"),
    ):
        secrets = "; secrets are masked" if name == "show" else ""
        text = f"{about[0].upper()}{about[1:]}{secrets}."
        action = actions.add_parser(name, parents=parents, help=about, description=text)
        action.set_defaults(command=run)
        if name == "show":
            action.add_argument(
                "key", nargs="?", metavar="KEY", help="only this option, or this section's options"
            )
            action.add_argument(
                "--changed", action="store_true", help="only what is not the default"
            )
            action.add_argument("--json", action="store_true", help="as JSON")


def _check(options: argparse.Namespace) -> int:
    check_models(_loaded(options).config)
    print("the configuration can be used")
    return OK


def show(options: argparse.Namespace) -> int:
    """Print every value in effect and where it comes from."""
    print("\n".join(shown(_loaded(options))))
    return OK


def _show(options: argparse.Namespace) -> int:
    """The same, of one option or section, of what was changed, or as JSON.

    Raises:
        ConfigError: there is no such option.
    """
    loaded, key = _loaded(options), options.key
    rows = [
        row
        for row in effective(loaded)
        if (key is None or f"{row[0]}.".startswith(f"{key}."))
        and not (options.changed and row[2] == DEFAULT)
    ]
    if key is not None and not any(f"{one}.".startswith(f"{key}.") for one in loaded.options):
        raise ConfigError(
            f"there is no option {key}{elsewhere(key, loaded.options) or closest(key, loaded.options)}"
        )
    if options.json:
        print(
            json.dumps(
                {path: {"value": value, "origin": origin} for path, value, origin in rows}, indent=2
            )
        )
    elif rows:
        print("\n".join(line(*row) for row in rows))
    return OK


def _loaded(options: argparse.Namespace) -> Loaded:
    loaded = load_from(options)
    for notice in loaded.notices:
        print(f"waav: {notice}", file=sys.stderr)
    return loaded


def _sample(options: argparse.Namespace) -> int:
    print(sample(Registry.discover()), end="")
    return OK


def _manual(options: argparse.Namespace) -> int:
    print(manual(Registry.discover()), end="")
    return OK
