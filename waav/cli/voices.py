"""``waav voices``: list the voices of a running gateway."""

import argparse
import json
import sys
from typing import Any
from urllib.parse import quote

from waav.cli.choices import address_of
from waav.cli.client import Address, RemoteGateway
from waav.cli.exits import FAILED, OK
from waav.cli.run import run


def add(commands: Any, client: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser(
        "voices",
        parents=[client],
        help="list the voices of a running gateway",
        description="List the voices that a running gateway can speak with.",
    )
    command.add_argument("--provider", help="only those of this provider")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(command=_voices)


def _voices(options: argparse.Namespace) -> int:
    address = address_of(options)
    return run(lambda reactor: voices(reactor, address, options.provider, options.json))


async def voices(reactor: Any, address: Address, provider: str | None, is_json: bool) -> int:
    """Print the voices; returns the exit code."""
    query = "" if provider is None else f"&provider={quote(provider, safe='')}"
    found = await RemoteGateway(reactor, address).get(f"/voices?verbose=true{query}")
    errors: dict[str, str] = found.pop("errors", {})
    for name, reason in errors.items() if provider is not None else ():
        print(f"waav: {name}: {reason}", file=sys.stderr)
    if is_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return OK
    for name, rows in found.items():
        for row in rows:
            print(f"{name:<12} {row['id']:<32} {row['name']} ({row['language']}, {row['gender']})")
    if not any(found.values()):
        if not (errors and provider is not None):
            print("waav: no voices", file=sys.stderr)
        return FAILED
    return OK
