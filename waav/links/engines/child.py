"""The model process: ``python -m waav.links.engines.child THREADS NICENESS``, with one end of a socket as descriptor 3.

It ends when the other end is closed, however that came about. Signals that a terminal or a service manager sends to
the whole group are the gateway's business: it lets calls end first, and they may need their models.
"""

import gc
import os
import pickle
import signal
import socket
import sys
import threading
from queue import SimpleQueue
from typing import Any, Final

from waav.links.engines.protocol import ValueReader, packed, packed_error
from waav.links.engines.workbench import Workbench

DESCRIPTOR: Final = 3
SWITCH_S: Final = 0.0005
"""How long one model may keep the interpreter when another wants it. With Python's 5 ms two of them get a fifth less
done: each needs it for moments between long stretches without."""

_READ_BYTES: Final = 1 << 18


class Desk:
    """Does what comes in at one end of the socket, in as many threads as there may be jobs."""

    def __init__(self, line: socket.socket, threads: int) -> None:
        self._line = line
        self._room = Workbench()
        self._jobs: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._writing = threading.Lock()
        for number in range(threads):
            threading.Thread(target=self._work, name=f"model {number}", daemon=True).start()

    def run(self) -> None:
        """Take orders until there is nobody to give them."""
        unpacker = ValueReader()
        while data := self._line.recv(_READ_BYTES):
            for order in unpacker.feed(data):
                if order[0] == "over":
                    self._room.over(*order[1:])
                else:
                    self._jobs.put(order)

    def _work(self) -> None:
        while True:
            what, job, *arguments = self._jobs.get()
            try:
                answer = packed("done", job, self._do(what, job, arguments))
            except BaseException as error:
                answer = packed("failed", job, packed_error(error))
            self._say(answer)

    def _do(self, what: str, job: int, arguments: list[Any]) -> bool | None:
        match what, arguments:
            case "work", [number, turn, asked, most]:
                return self._room.work(
                    number, turn, asked, lambda piece: self._say(packed("said", job, piece)), most
                )
            case "load", [name, load]:
                self._room.load(name, pickle.loads(load))
                # Models are for ever. Looking through them again and again stops every thread for 50 ms.
                gc.collect()
                gc.freeze()
            case "open", [number, name, open]:
                self._room.open(number, name, pickle.loads(open))
            case "close", [number]:
                self._room.close(number)
        return None

    def _say(self, message: bytes) -> None:
        try:
            with self._writing:
                self._line.sendall(message)
        except OSError:
            os._exit(0)  # the gateway is gone


def main() -> None:
    """The process."""
    threads, niceness = (int(one) for one in sys.argv[1:3])
    sys.setswitchinterval(SWITCH_S)
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    os.setpriority(
        os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + niceness
    )  # threads and their threads inherit it
    try:
        Desk(socket.socket(fileno=DESCRIPTOR), threads).run()
    finally:
        # Whatever a model computes just now, nobody wants it.
        os._exit(0)


if __name__ == "__main__":
    main()
