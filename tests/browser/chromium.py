"""Headless Chromium, driven over its DevTools WebSocket."""

import base64
import itertools
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import treq
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from tests.waiting import LIMIT_S, Patience, waited_s

LOOKS = 30
"""So many before it is asked whether that was long enough."""


class _Running(ProcessProtocol):
    def __init__(self) -> None:
        self.output = b""
        self.ended: Deferred[None] = Deferred()

    @property
    def said(self) -> str:
        """What it complained of, but for the desktop that is not there."""
        lines = self.output.decode(errors="replace").splitlines()
        return "\n".join([line for line in lines if "dbus" not in line][-20:])

    def errReceived(self, data: bytes) -> None:
        self.output += data

    outReceived = errReceived

    def processEnded(self, reason: Failure) -> None:
        reason.trap(ProcessDone, ProcessTerminated)
        self.ended.callback(None)


class _DevTools(WebSocketClientProtocol):
    def onOpen(self) -> None:
        self.answers: dict[int, Deferred[Any]] = {}
        self.logged: list[str] = []
        self.numbers = itertools.count(1)
        self.factory.opened.callback(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        message = json.loads(payload)
        if "id" in message:
            waiting = self.answers.pop(message["id"])
            if "error" in message:
                waiting.errback(RuntimeError(message["error"]["message"]))
            else:
                waiting.callback(message["result"])
        elif message["method"] == "Runtime.exceptionThrown" or _is_complaint(message):
            self.logged.append(json.dumps(message["params"]))

    def call(self, method: str, **params: Any) -> Deferred[Any]:
        number = next(self.numbers)
        self.answers[number] = Deferred()
        self.sendMessage(json.dumps({"id": number, "method": method, "params": params}).encode())
        return self.answers[number]


def _is_complaint(message: dict[str, Any]) -> bool:
    """Whether the browser says that something is wrong, not merely that it could be done another way."""
    if message["method"] != "Log.entryAdded":
        return False
    return message["params"]["entry"]["level"] in ("warning", "error")


class Chromium:
    """One browser with one page; its microphone plays a sound file once.

    Args:
        microphone: a WAV file; None: silence and beeps of the browser's own.
        options: further switches of the command line.
    """

    def __init__(self, reactor: Any, microphone: Path | None = None, *options: str) -> None:
        self.reactor = reactor
        self.profile = Path(tempfile.mkdtemp(prefix="waav-chromium-"))
        self.process = _Running()
        found = shutil.which("chromium") or shutil.which("chromium-browser")
        if found is None:
            raise RuntimeError("chromium is not installed; .ci/run installs it")
        arguments = [
            found, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
            "--remote-debugging-port=0", f"--user-data-dir={self.profile}", "--window-size=1100,1400",
            "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
            *options,
        ]  # fmt: skip
        if microphone is not None:
            arguments.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
        arguments.append("about:blank")
        self.transport = reactor.spawnProcess(self.process, found, arguments, env=None)
        self.page: Any = None

    async def open(self, url: str) -> None:
        """Go to ``url`` and wait until the page has loaded."""
        port_file = self.profile / "DevToolsActivePort"
        await self._until(port_file.exists, "chromium to start")
        port = int(port_file.read_text().split()[0])
        pages: list[dict[str, str]] = []

        async def list_pages() -> bool:
            answer = await treq.get(f"http://127.0.0.1:{port}/json/list", persistent=False)
            pages[:] = [page for page in await treq.json_content(answer) if page["type"] == "page"]
            return bool(pages)

        await self._until(list_pages, "a page")
        factory = WebSocketClientFactory(pages[0]["webSocketDebuggerUrl"])
        factory.protocol = _DevTools
        factory.opened = Deferred()
        await HostnameEndpoint(self.reactor, "127.0.0.1", port).connect(factory)
        self.page = await factory.opened
        for domain in ("Runtime", "Page", "Log"):
            await self.page.call(f"{domain}.enable")
        await self.page.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def run(self, script: str) -> Any:
        """The value of a JavaScript expression; promises are awaited, clicks count as the user's."""
        answer = await self.page.call(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in answer:
            raise AssertionError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until a JavaScript expression is true."""

        async def is_true() -> bool:
            return bool(await self.run(f"Boolean({script})"))

        await self._until(is_true, script)

    async def press(self, key: str, code: int) -> None:
        """One key press as the operating system would deliver it."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            await self.page.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **text,
            )

    async def type(self, text: str) -> None:
        """Type into what has the focus."""
        await self.page.call("Input.insertText", text=text)

    async def choose(self, selector: str, path: Path) -> None:
        """Choose a file in a file input, as a person does in the dialog."""
        document = await self.page.call("DOM.getDocument")
        found = await self.page.call(
            "DOM.querySelector", nodeId=document["root"]["nodeId"], selector=selector
        )
        await self.page.call("DOM.setFileInputFiles", nodeId=found["nodeId"], files=[str(path)])

    async def screenshot(self, path: Path) -> None:
        """Save what the page looks like now."""
        answer = await self.page.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))

    async def close(self) -> None:
        """End the browser."""
        if self.page is not None:
            self.page.dropConnection(abort=True)
        if not self.process.ended.called:
            self.transport.signalProcess("KILL")
        await self.process.ended
        shutil.rmtree(self.profile, ignore_errors=True)

    async def _until(self, condition: Any, what: str) -> None:
        patience = Patience(LIMIT_S, self.reactor.seconds(), waited_s=waited_s(os.getpgrp()))
        for look in itertools.count(1):
            result = condition()
            if await result if hasattr(result, "__await__") else result:
                return
            if look % LOOKS == 0 and patience.is_over(
                self.reactor.seconds(), 0, waited_s(os.getpgrp())
            ):
                raise AssertionError(f"waited for {what}; chromium said {self.process.said}")
            await task.deferLater(self.reactor, 0.1)
