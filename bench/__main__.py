"""``python -m bench WHAT [options]``: starts and stops everything itself, prints one line of JSON per run."""

import argparse
import importlib
import os
import sys

COMMANDS = {
    "sessions": "what a call costs and how long its frames take, beside peers",
    "echo": "CPU per echoed WebSocket message, beside picows and stock Autobahn, plain and over TLS",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--envs", metavar="DIR", help="where environments of peers are kept")
    parts = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    for name, text in COMMANDS.items():
        part = parts.add_parser(name, help=text, description=text)
        importlib.import_module(f"bench.{name.replace('-', '_')}").arguments(part)
    options = parser.parse_args()
    if options.envs:
        os.environ["WAAV_BENCH_ENVS"] = options.envs
    return int(importlib.import_module(f"bench.{options.what.replace('-', '_')}").main(options))


if __name__ == "__main__":
    sys.exit(main())
