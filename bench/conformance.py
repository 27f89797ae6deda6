"""The Autobahn test suite against the gateway's WebSocket classes, as server and as client.

    python -m bench.conformance [SIDE ...] [--cases CASE ...] [--reports DIR]

Sides: ``server`` is the frame lane on the gateway's sockets, ``gateway`` the class of ``/ws`` behind twisted.web,
``client`` the class that calls vendors, ``deflate`` (only when asked for) the lane with compression. One line of JSON
for each; exit code 1 if anything failed.

The suite (https://github.com/crossbario/autobahn-testsuite) needs Python 2.7; it is installed from PyPI into a
folder of the cache on first use. ``WAAV_BENCH_PYTHON2`` names an interpreter that is not found by itself.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.environments import folder
from bench.machine import free_port

SUITE: Final = "25.10.1"

SIDES: Final = ("server", "gateway", "client")

LEFT_OUT: Final = ["9.1.6", "9.2.6", "12.*", "13.*"]
"""Messages of 16 MB, which are more than a caller may send, and compression."""

CASES: Final = {
    "server": (["*"], LEFT_OUT),
    # A caller's message may have 4096 frames; these have more.
    "gateway": (["*"], [*LEFT_OUT, "9.3.1", "9.3.2", "9.3.3", "9.4.1", "9.4.2", "9.4.3"]),
    "client": (["*"], LEFT_OUT),
    "deflate": (["1.*", "2.*", "5.*", "6.*", "12.1.*", "13.1.*"], list[str]()),
}
"""Of each side, the cases and those of them that are left out."""

START_S: Final = 30.0
SIDE_S: Final = 600.0

_RUN: Final = "import site; site.addsitedir({!r}); from autobahntestsuite.wstest import run; run()"


def python2() -> str:
    """An interpreter for the suite."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = (
        os.environ.get("WAAV_BENCH_PYTHON2"),
        shutil.which("python2.7"),
        *(str(path) for path in sorted(root.glob("versions/2.7*/bin/python2.7"))),
    )
    for path in found:
        # pyenv's stand-ins are on the PATH whether or not there is anything behind them.
        if (
            path
            and subprocess.run([path, "-c", ""], check=False, capture_output=True).returncode == 0
        ):
            return path
    raise SystemExit("the Autobahn test suite needs Python 2.7; name one in WAAV_BENCH_PYTHON2")


def install(python: str) -> Path:
    """The folder with the suite; fetches it if need be, which takes a minute."""
    home = folder() / f"autobahntestsuite-{SUITE}"
    if home.exists():
        return home
    print(f"making {home}", file=sys.stderr, flush=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=home.parent))
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", making,
         f"autobahntestsuite=={SUITE}"],
        check=True,
        stdout=sys.stderr,
        cwd=making,  # pip would look at what lies in ours
    )  # fmt: skip
    try:
        making.rename(home)
    except OSError:
        # Another run was faster.
        shutil.rmtree(making)
    return home


@contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[None]:
    """A server that listens on a port while the block runs."""
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            _wait_for(process, port, log)
            yield
        finally:
            process.terminate()


def _wait_for(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"a server did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return


def run_side(side: str, cases: list[str], left_out: list[str], reports: Path) -> dict[str, Any]:
    """All cases against one side; the suite's HTML reports go to a folder."""
    interpreter = python2()
    suite = [interpreter, "-c", _RUN.format(str(install(interpreter)))]
    port, began = free_port(), time.monotonic()
    url = f"ws://127.0.0.1:{port}"
    wanted: dict[str, Any] = {
        "outdir": str(reports),
        "cases": cases,
        "exclude-cases": left_out,
        "exclude-agent-cases": {},
    }
    spec = reports / "spec.json"
    if side == "client":
        spec.write_text(json.dumps(wanted | {"url": url}))
        server = [*suite, "-m", "fuzzingserver", "-s", str(spec), "--webport", "0"]
        driver = [sys.executable, "-m", "bench.testees", "client", str(port)]
    else:
        spec.write_text(json.dumps(wanted | {"servers": [{"agent": "waav", "url": url}]}))
        testee = ["bench.echo_server"] if side == "server" else ["bench.testees", side]
        server = [sys.executable, "-m", *testee, str(port)]
        driver = [*suite, "-m", "fuzzingclient", "-s", str(spec)]
    with (
        running(server, port, reports / "server.log"),
        (reports / "driver.log").open("wb") as out,
    ):
        subprocess.run(driver, check=True, stdout=out, stderr=out, timeout=SIDE_S)
    results = json.loads((reports / "index.json").read_text())["waav"]
    return {"side": side, **judged(results), "seconds": round(time.monotonic() - began, 1)}


def judged(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What the suite's index says: how many cases went well, and the names of all others.

    ``behavior`` is about messages, ``behaviorClose`` about the end of the connection; the worse of the two counts.
    """
    groups: dict[str, list[str]] = {"ok": [], "informational": [], "non_strict": [], "failed": []}
    for case, result in results.items():
        said = {result["behavior"], result["behaviorClose"]}
        if said - {"OK", "INFORMATIONAL", "NON-STRICT"}:
            group = "failed"
        elif "NON-STRICT" in said:
            group = "non_strict"
        else:
            group = "informational" if "INFORMATIONAL" in said else "ok"
        groups[group].append(case)
    for names in groups.values():
        names.sort(key=lambda name: [int(part) for part in name.split(".")])
    return {"suite": SUITE, "cases": len(results), **groups, "ok": len(groups["ok"])}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("sides", nargs="*", metavar="SIDE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--cases", nargs="+", metavar="CASE", help="only these, such as 6.* 7.1.3")
    parser.add_argument("--reports", metavar="DIR", help="keep the suite's HTML reports there")


def main(options: argparse.Namespace) -> int:
    """Run; 1 if a case failed."""
    is_good = True
    with tempfile.TemporaryDirectory(prefix="waav-conformance-") as scratch:
        for side in options.sides or SIDES:
            if side not in CASES:
                raise SystemExit(f"no side is called {side}; there are {', '.join(CASES)}")
            reports = Path(options.reports or scratch, side).absolute()
            reports.mkdir(parents=True, exist_ok=True)
            cases, left_out = (options.cases, []) if options.cases else CASES[side]
            result = run_side(side, cases, left_out, reports)
            is_good = is_good and result["cases"] > 0 and not result["failed"]
            print(json.dumps(result), flush=True)
    return 0 if is_good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m bench.conformance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments(parser)
    sys.exit(main(parser.parse_args()))
