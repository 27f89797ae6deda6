"""Speech over HTTP/2 against HTTP/1.1: what the client pays for a piece, and how long the first one takes.

The gateway's pattern: 20 calls, each with one streamed answer at a time, over TLS with connections that are open
already: one each with HTTP/1.1 (llhttp, as the gateway has it), one for all with HTTP/2 (``h2``, the library that
Python has). Both clients are the same small asyncio program on uvloop with the loop's TLS; only the part that knows
the protocol differs. The vendor is one process that speaks both. CPU is the client's alone.

python -m bench http2 --rounds 3
"""

import argparse
import asyncio
import json
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PIECE_BYTES = 960
PERIOD_S = 0.02
PIECES = 102
TEXT = b"a text of thirty-four characters ."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3, help="of both, in turn")
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument(
        "--texts", type=int, default=3, help="spoken by each call, one after the other"
    )


def main(options: argparse.Namespace) -> int:
    from bench import certificate, environments, machine

    python = environments.python_of("http2")
    with tempfile.TemporaryDirectory() as folder:
        pem = certificate.write(Path(folder, "vendor.pem"))
        vendor = subprocess.Popen(
            [python, __file__, "vendor", str(pem)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert vendor.stdout is not None
            port = vendor.stdout.readline().strip()
            for number in range(options.rounds):
                for version in ("1.1", "2"):
                    said = subprocess.run(
                        [python, __file__, "client", str(pem), port, version,
                         str(options.calls), str(options.texts)],
                        check=True, capture_output=True, text=True,
                    ).stdout  # fmt: skip
                    about = {"bench": "http2", "round": number + 1, "http": version}
                    print(
                        json.dumps(
                            about
                            | json.loads(said)
                            | {"machine": machine.about(), "command": machine.command()}
                        ),
                        flush=True,
                    )
        finally:
            vendor.terminate()
            vendor.wait()
    return 0


# The client, in the environment that has h2.


class One:
    """A connection of HTTP/1.1: one answer at a time."""

    streams = 1

    def __init__(self, rig: "Rig") -> None:
        import httptools

        self._rig = rig
        self._new_parser = lambda: httptools.HttpResponseParser(self)
        self._parser: Any = None
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append

    def begin(self, transport: Any) -> None:
        self._transport = transport

    def ask(self, call: int) -> None:
        self._call = call
        self._parser = self._new_parser()
        head = f"POST /v1/speak HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Token k\r\nContent-Length: {len(TEXT)}\r\n\r\n"
        self._transport.write(head.encode() + TEXT)

    def on_message_complete(self) -> None:
        self._is_over = True

    def received(self, data: bytes) -> None:
        self._is_over = False
        self._parser.feed_data(data)
        if self._pieces:
            body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            self._rig.heard(self._call, body)
        if self._is_over:
            self._rig.ended(self._call)


class Two:
    """A connection of HTTP/2: any number of answers."""

    streams = 1000

    def __init__(self, rig: "Rig") -> None:
        import h2.config
        import h2.connection
        import h2.events

        self._events = h2.events
        self._rig = rig
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=True,
                header_encoding=None,
                # What the library itself checks and normalises costs time; both peers are ours.
                validate_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self._calls: dict[int, int] = {}

    def begin(self, transport: Any) -> None:
        self._transport = transport
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(2**24)
        transport.write(self._h2.data_to_send())

    def ask(self, call: int) -> None:
        stream = self._h2.get_next_available_stream_id()
        self._calls[stream] = call
        self._h2.send_headers(
            stream,
            [(b":method", b"POST"), (b":authority", b"127.0.0.1"), (b":scheme", b"https"),
             (b":path", b"/v1/speak"), (b"authorization", b"Token k")],
        )  # fmt: skip
        self._h2.send_data(stream, TEXT, end_stream=True)
        self._transport.write(self._h2.data_to_send())

    def received(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            if isinstance(event, self._events.DataReceived):
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if event.data:
                    self._rig.heard(self._calls[event.stream_id], event.data)
            elif isinstance(event, self._events.StreamEnded):
                self._rig.ended(self._calls.pop(event.stream_id))
        if out := self._h2.data_to_send():
            self._transport.write(out)


class Wire(asyncio.Protocol):
    def __init__(self, spoken: Any) -> None:
        self.spoken = spoken
        self.data_received = spoken.received  # type: ignore[method-assign]

    def connection_made(self, transport: Any) -> None:
        self.spoken.begin(transport)


class Rig:
    """Asks, and counts what comes."""

    def __init__(self, calls: int, texts: int) -> None:
        self.calls = calls
        self.left = dict.fromkeys(range(calls), texts)
        self.asked: dict[int, float] = {}
        self.first: list[float] = []
        self.pieces = self.bytes = 0
        self.done = asyncio.get_running_loop().create_future()
        self.lines: dict[int, Any] = {}

    def ask(self, call: int) -> None:
        self.left[call] -= 1
        self.asked[call] = time.monotonic()
        self.lines[call].ask(call)

    def heard(self, call: int, data: bytes) -> None:
        asked = self.asked.pop(call, None)
        if asked is not None:
            self.first.append(time.monotonic() - asked)
        self.pieces += 1
        self.bytes += len(data)

    def ended(self, call: int) -> None:
        if self.left[call]:
            self.ask(call)
        else:
            del self.left[call]
            if not self.left:
                self.done.set_result(None)


async def client(pem: str, port: int, version: str, calls: int, texts: int) -> None:
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context(cafile=pem)
    context.set_alpn_protocols(["h2" if version == "2" else "http/1.1"])
    rig = Rig(calls, texts)
    kind: Any = Two if version == "2" else One
    line: Any = None
    for call in range(calls):
        if line is None or kind.streams == 1:
            line = kind(rig)
            await loop.create_connection(
                lambda line=line: Wire(line), "127.0.0.1", port, ssl=context
            )
        rig.lines[call] = line
    await asyncio.sleep(0.5)
    began = time.process_time()
    for call in range(calls):
        loop.call_later(call * PERIOD_S / calls, rig.ask, call)
    await rig.done
    cpu = time.process_time() - began
    sent = calls * texts * PIECES
    firsts = sorted(1000 * one for one in rig.first)
    print(json.dumps({
        "calls": calls, "requests": len(firsts), "sent_pieces": sent,
        "lost_bytes": sent * PIECE_BYTES - rig.bytes,
        "cpu_us_per_piece": round(1e6 * cpu / sent, 1),
        "cpu_percent_per_call": round(100 * cpu / (texts * PIECES * PERIOD_S) / calls, 3),
        "first_byte_ms_p50": round(statistics.median(firsts), 2),
        "first_byte_ms_p99": round(firsts[int(0.99 * (len(firsts) - 1))], 2),
    }))  # fmt: skip


# The vendor.


class Vendor(asyncio.Protocol):
    """Speaks whichever was agreed on: a piece each 20 ms from the moment of asking."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        chosen = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        self._h2: Any = None
        self._seen = b""
        if chosen == "h2":
            import h2.config
            import h2.connection

            self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
            self._h2.initiate_connection()
            transport.write(self._h2.data_to_send())

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        if self._h2 is None:
            self._seen += data
            if self._seen.endswith(TEXT):
                self._seen = b""
                self._transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                self._speak(0, 0, self._loop.time())
            return
        import h2.events

        for event in self._h2.receive_data(data):
            if isinstance(event, h2.events.StreamEnded):
                self._h2.send_headers(event.stream_id, [(":status", "200")])
                self._speak(event.stream_id, 0, self._loop.time())
        self._flush()

    def _speak(self, stream: int, number: int, due: float) -> None:
        if self._transport is None:
            return
        self._piece(stream, number == PIECES - 1)
        if number < PIECES - 1:
            due += PERIOD_S
            self._loop.call_at(due, self._speak, stream, number + 1, due)

    def _piece(self, stream: int, is_last: bool) -> None:
        if self._h2 is None:
            end = b"0\r\n\r\n" if is_last else b""
            self._transport.write(b"3c0\r\n" + bytes(PIECE_BYTES) + b"\r\n" + end)
        else:
            self._h2.send_data(stream, bytes(PIECE_BYTES), end_stream=is_last)
            self._flush()

    def _flush(self) -> None:
        if out := self._h2.data_to_send():
            self._transport.write(out)


async def vendor(pem: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    context.set_alpn_protocols(["h2", "http/1.1"])
    server = await asyncio.get_running_loop().create_server(Vendor, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    if sys.argv[1] == "vendor":
        uvloop.run(vendor(sys.argv[2]))
    else:
        uvloop.run(
            client(sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]), int(sys.argv[6]))
        )
