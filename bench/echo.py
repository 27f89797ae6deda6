"""CPU per echoed WebSocket message: our protocol classes and sockets, beside picows and Autobahn as it comes."""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import certificate, environments, machine, targets
from bench.figures import line, ratios, summary
from bench.rig import control
from bench.sessions import stamped

SERVERS = ("waav", "picows", "autobahn")


def command(server: str, port: int, pem: Path | None) -> tuple[str, list[str]]:
    """The interpreter and the command line of an echo server."""
    if server == "picows":
        python = environments.python_of("picows")
        return python, [
            python,
            "-m",
            "bench.peers.picows_echo",
            str(port),
            *([str(pem)] if pem else []),
        ]
    tail = ["--tls", str(pem)] if pem else []
    tail += ["--stock"] if server == "autobahn" else []
    return sys.executable, [sys.executable, "-m", "bench.echo_server", str(port), *tail]


def measure(
    server: str, pem: Path | None, connections: int, rate: float, seconds: float, size: int,
    cores: machine.Cores,
) -> dict[str, Any]:  # fmt: skip
    """One run."""
    port = machine.free_port()
    python, line_of = command(server, port, pem)
    with targets.served(line_of, port, cores) as process:
        before = machine.family_cpu(process.pid)
        job = {"port": port, "connections": connections, "period_s": 1 / rate, "bytes": size,
               "tls": pem is not None}  # fmt: skip
        with control.rig("echoers", cores, **job) as echoers:
            echoers.next("opened")
            set_up = machine.family_cpu(process.pid) - before
            echoers.ask("start", "started")
            time.sleep(1.0)
            echoers.ask("begin", "begun")
            span = machine.Span(process.pid, echoers.pid)
            time.sleep(seconds)
            span.end()
            measured = echoers.ask("end", "measured")
            result = echoers.next("result")
    spent, rig_spent = span.spent
    echoes = result["echoes"]
    if measured["hung_up"] or not measured["echoed"]:
        raise SystemExit(f"{server} hung up on {measured['hung_up']} connections")
    faults = []
    if echoes["sent"] != echoes["received"] or echoes["doubled"] or echoes["reordered"]:
        faults.append(f"echoes: {echoes}")
    return {
        "target": server, "tls": pem is not None, "connections": connections, "rate": rate,
        "bytes": size, "seconds": round(span.seconds, 1),
        "cpu_us_per_message": round(1e6 * spent.total_s / measured["echoed"], 1),
        "user_us_per_message": round(1e6 * spent.user_s / measured["echoed"], 1),
        "set_up_ms_per_connection": round(1e3 * set_up.total_s / connections, 2),
        "round_trip": echoes, "rig": {
            "late_p99_ms": measured["late"].get("p99_ms"),
            "cpu_percent": span.percent(rig_spent.total_s),
            **span.rest(),
        },
        "faults": faults, "machine": machine.about(),
        "versions": machine.versions(python, *targets.LIBRARIES),
    }  # fmt: skip


SHOWN = ("cpu_us_per_message", "user_us_per_message", "set_up_ms_per_connection",
         "round_trip.p50_ms", "round_trip.p99_ms")  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--connections", type=int, default=40)
    parser.add_argument("--rate", type=float, default=50.0, help="messages a second on each")
    parser.add_argument("--bytes", type=int, default=640)
    parser.add_argument("--against", default="picows,autobahn")
    parser.add_argument("--plain-only", action="store_true", help="without TLS")
    parser.add_argument("--no-pin", action="store_true")


def main(options: argparse.Namespace) -> int:
    """``echo``."""
    cores = machine.Cores.shared_out(not options.no_pin)
    servers = ["waav", *[one for one in options.against.split(",") if one]]
    wrong = []
    with tempfile.TemporaryDirectory(prefix="waav-echo-") as folder:
        pem = certificate.write(Path(folder, "echo.pem"))
        for secure in (None, pem)[: 1 if options.plain_only else 2]:
            runs = []
            for number in range(options.rounds):
                for server in servers:
                    run = measure(
                        server, secure, options.connections, options.rate, options.seconds,
                        options.bytes, cores,
                    )  # fmt: skip
                    runs.append(stamped("echo", {"round": number + 1} | run))
                    print(line(runs[-1]), flush=True)
                    wrong += [f"{server}: {fault}" for fault in run["faults"]]
            rows = {
                server: summary([run for run in runs if run["target"] == server], SHOWN)
                for server in servers
            }
            ratio = {one: ratios(rows["waav"], rows[one]) for one in servers[1:]}
            found = {"tls": secure is not None, "targets": rows, "ratio": ratio}
            print(line(stamped("echo summary", found)), flush=True)
    for one in wrong:
        print(one, file=sys.stderr)
    return 1 if wrong else 0
