"""``python -m bench WHAT [options]``: starts and stops everything itself, prints one line of JSON per run."""

import argparse
import importlib
import os
import signal
import sys

COMMANDS = {
    "sessions": "what a call costs and how long its frames take, beside peers",
    "first-audio": "from `speak` to its first frame, less the vendor's time",
    "transcripts": "how long transcripts take from the vendor to the caller",
    "interrupt": "from an interruption to the last frame of what was spoken",
    "echo": "CPU per echoed WebSocket message, plain and over TLS, beside peers",
    "speak": "requests to POST /speak in a second",
    "http2": "speech over HTTP/2 against HTTP/1.1",
    "workers": "two worker processes against one",
    "soak": "calls that come and go for minutes or hours: descriptors, memory, lag",
    "models": "delays of calls while the gateway's own models work",
    "manners": "callers with bad manners, and what is left of the gateway",
    "local": "the embedded voice: first audio, clear, calls opened and closed",
    "wer": "word error rate of the embedded recogniser",
    "mutations": "small faults put into the code: whether the tests notice",
    "reading": "how the embedded voice reads numbers, dates, addresses and the like",
    "conformance": "the Autobahn test suite: as server, as gateway and as client",
    "growth": "CPU and memory at growing numbers of calls, as a picture",
    "report": "everything that docs/performance.md shows, and the page itself",
}


def usage() -> str:
    lines = [f"  {name:13}{text}" for name, text in COMMANDS.items()]
    return "\n".join([str(__doc__), "WHAT is one of", *lines, "", "WHAT --help tells the options."])


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in COMMANDS:
        print(usage(), file=sys.stderr)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    name, *rest = arguments
    module = importlib.import_module(f"bench.{name.replace('-', '_')}")
    parser = argparse.ArgumentParser(prog=f"python -m bench {name}", description=COMMANDS[name])
    parser.add_argument("--envs", metavar="DIR", help="where the peers' environments are kept")
    module.arguments(parser)
    options = parser.parse_args(rest)
    if options.envs:
        os.environ["WAAV_BENCH_ENVS"] = options.envs
    # What was started is stopped then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return int(module.main(options) or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
