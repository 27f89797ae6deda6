"""The command ``waav`` as people use it: exit codes, messages, a gateway at the other end."""

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.application.service import IServiceMaker
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import Site

import twisted.plugins
import waav
from bench.machine import free_port
from tests.certificates import write_pair
from tests.gateway_process import GatewayProcess, Output
from tests.waiting import until
from waav import __version__
from waav.cli import client as client_module
from waav.cli import listen as listen_module
from waav.cli.client import Address, NoGateway, RefusedByGateway
from waav.cli.init import initialise
from waav.cli.listen import ListenJob, Screen, listen, raw_format
from waav.cli.main import main
from waav.cli.say import say
from waav.cli.serve import reveal_plugin, twistd_arguments
from waav.cli.voices import voices
from waav.config.load import Config
from waav.errors import BadRequest
from waav.models.settings import ModelSettings, TurnSettings
from waav.speech.audio import AudioFormat
from waav.speech.wav import header, pack


def run(*arguments: str, folder: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``waav`` as a program of its own."""
    return subprocess.run(
        [sys.executable, "-m", "waav.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


class PluginTests(SynchronousTestCase):
    def makers(self) -> set[str]:
        """What twistd can run."""
        return {maker.tapname for maker in getPlugins(IServiceMaker)}

    def test_it_is_found_after_an_editable_install(self) -> None:
        """serve finds its plugin also where it lies beside the package and not in a folder that Python looks at."""
        folder = str(Path(waav.__file__).parent.parent / "twisted" / "plugins")
        paths = twisted.plugins.__path__
        others = [path for path in paths if not (Path(path) / "waav_plugin.py").exists()]
        self.patch(twisted.plugins, "__path__", list(others))
        self.assertNotIn("waav", self.makers())
        reveal_plugin()
        reveal_plugin()
        self.assertIn("waav", self.makers())
        self.assertEqual(twisted.plugins.__path__, [*others, folder])


class UsageTests(SynchronousTestCase):
    def test_version(self) -> None:
        """--version prints the package's version (OPS-02)."""
        done = run("--version")
        self.assertEqual((done.returncode, done.stdout), (0, f"waav {__version__}\n"))

    def test_help(self) -> None:
        """Every command explains itself and ends with 0."""
        for command in ("serve", "say", "listen", "voices", "init", "config", "config check"):
            out = io.StringIO()
            self.patch(sys, "stdout", out)
            error = self.assertRaises(SystemExit, main, [*command.split(), "--help"])
            self.assertEqual(error.code, 0)
            self.assertIn("usage: waav", out.getvalue())
            self.assertGreater(len(out.getvalue().splitlines()), 5, command)

    def test_nothing_asked(self) -> None:
        """waav alone tells what there is."""
        out = io.StringIO()
        self.patch(sys, "stdout", out)
        self.assertEqual(main([]), 0)
        for command in ("serve", "say", "listen", "voices", "config", "init"):
            self.assertIn(f"\n    {command} ", out.getvalue())

    def test_wrong_usage(self) -> None:
        """A command or option that does not exist is one line and exit code 2 (S-CFG 1.11)."""
        for arguments in (
            ["dance"],
            ["listen"],
            ["say", "x", "--loud"],
            ["say", "x", "--rate", "0"],
            ["say", "x", "--url", "ftp://x"],
            ["listen", "x", "--encoding", "float16"],
            ["config", "sample", "-c", "x"],
        ):
            err = io.StringIO()
            self.patch(sys, "stderr", err)
            error = self.assertRaises(SystemExit, main, arguments)
            self.assertEqual((error.code, len(err.getvalue().splitlines())), (2, 1), arguments)


class ConfigCommandTests(SynchronousTestCase):
    def config(self, text: str) -> str:
        path = Path(self.mktemp())
        path.write_text(text)
        return str(path)

    def main(self, *arguments: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        code = main([*arguments, "--env-file", self.mktemp()])
        return code, out.getvalue(), err.getvalue()

    def test_check(self) -> None:
        """A configuration that can be used is exit code 0, another one is 1 with a line per problem (CFG-04)."""
        self.assertEqual(self.main("config", "check")[0], 0)
        code, out, err = self.main("config", "check", "-c", self.config("a: 1\nserver: {port: x}"))
        self.assertEqual((code, out, len(err.splitlines())), (1, "", 2))
        self.assertNotIn("Traceback", err)

    def test_the_command_line_wins(self) -> None:
        """--host, --port, --workers and --log-level of serve come before file and environment, and say so."""
        path = self.config("server: {port: 4000, host: 10.0.0.1}\nlogging: {level: warn}")
        code, out, _ = self.main(
            *("serve", "--check-config", "-c", path),
            *("--host", "127.0.0.1", "--port", "4001", "--workers", "2", "--log-level", "debug"),
        )
        self.assertEqual(code, 0)
        for line in (
            'server.host = "127.0.0.1"  [command line: --host]',
            "server.port = 4001  [command line: --port]",
            'server.workers = "2"  [command line: --workers]',
            'logging.level = "debug"  [command line: --log-level]',
        ):
            self.assertIn(line, out)
        code, _, err = self.main("serve", "--check-config", "--port", "x")
        self.assertEqual(code, 1)
        self.assertIn("server.port: must be a whole number, is 'x' [command line: --port]", err)

    def test_serve_hands_them_on(self) -> None:
        """What serve was told reaches twistd's own options."""
        options = argparse.Namespace(
            rest=[],
            daemon=False,
            env_file=".env",
            config=None,
            workers=None,
            config_precedence=None,
            lenient_config=False,
            host="::1",
            port="0",
            log_level="warn",
        )
        given = twistd_arguments(options)
        self.assertEqual(
            [one for one in given if one.startswith(("--host", "--port", "--log-", "--work"))],
            ["--host=::1", "--port=0", "--log-level=warn"],
        )

    def test_a_default_without_its_key(self) -> None:
        """check warns of a default provider that lacks its key, and still says that it can be used."""
        code, out, err = self.main(
            "config", "check", "-c", self.config("audio: {stt_provider: openai}")
        )
        self.assertEqual((code, out), (0, "the configuration can be used\n"))
        self.assertIn("audio.stt_provider: openai lacks providers.openai.api_key", err)

    def test_check_of_a_required_model(self) -> None:
        """check says that the gateway could not start without its required turn model; init does not mind."""
        path = self.config(
            f"turn_detection: {{required: true}}\nmodels: {{path: {self.mktemp()}, offline: true}}"
        )
        code, out, err = self.main("config", "check", "-c", path)
        self.assertEqual((code, out, len(err.splitlines())), (1, "", 1))
        self.assertIn("waav: turn_detection.required: ", err)
        self.assertIn("run waav init", err)
        self.assertIn("models.offline", self.main("init", "-c", path)[2])

    def test_check_of_a_noise_filter(self) -> None:
        """check says that the gateway could not start without its noise filter and its turn model, each in a line, and
        so does serve --check-config; init does not mind (NF-01)."""
        path = self.config(
            "noise_filter: {enabled: true}\nturn_detection: {required: true}\n"
            f"models: {{path: {self.mktemp()}, offline: true}}"
        )
        for command in (("config", "check"), ("serve", "--check-config")):
            code, out, err = self.main(*command, "-c", path)
            self.assertEqual((code, out, len(err.splitlines())), (1, "", 2), err)
            self.assertIn("waav: noise_filter.enabled: ", err)
            self.assertIn("waav: turn_detection.required: ", err)
        self.assertIn("waav: dtln: ", self.main("init", "-c", path)[2])

    def test_show(self) -> None:
        """Every value is listed with where it comes from; secrets are masked (F-001, F-026)."""
        path = self.config("server: {port: 4000}\nproviders: {deepgram_api_key: topsecret}")
        code, out, _ = self.main("config", "show", "-c", path)
        self.assertEqual(code, 0)
        self.assertIn(f"server.port = 4000  [{path} line 1]", out)
        self.assertIn('server.host = "0.0.0.0"  [default]', out)
        self.assertIn(f'providers.deepgram.api_key = "***"  [{path} line 2]', out)
        self.assertNotIn("topsecret", out)

    def test_show_some(self) -> None:
        """One option, a section, what was changed, as JSON: what is asked for and no more; a name that is none is an error."""
        path = self.config("server: {port: 4000}\nproviders: {deepgram_api_key: topsecret}")
        show = ("config", "show", "-c", path)
        said = f"server.port = 4000  [{path} line 1]\n"
        self.assertEqual(self.main(*show, "server.port"), (0, said, ""))
        self.assertGreater(len(self.main(*show, "server")[1].splitlines()), 5)
        self.assertEqual(self.main(*show, "server", "--changed"), (0, said, ""))
        _, out, _ = self.main(*show, "--changed", "--json")
        self.assertEqual(
            json.loads(out),
            {
                "server.port": {"value": 4000, "origin": f"{path} line 1"},
                "providers.deepgram.api_key": {"value": "***", "origin": f"{path} line 2"},
            },
        )
        code, out, err = self.main(*show, "port")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("there is no option port (did you mean", err)
        self.assertEqual(self.main(*show, "websocket", "--changed"), (0, "", ""))

    def test_lenient(self) -> None:
        """--lenient-config reports unknown keys and goes on (S-CFG-07)."""
        code, _, err = self.main(
            "config", "check", "-c", self.config("livekit: {a: 1}"), "--lenient-config"
        )
        self.assertEqual(code, 0)
        self.assertIn("livekit", err)

    def test_nothing_listens_with_a_bad_configuration(self) -> None:
        """A bad configuration ends serve with 1 before a port is opened, without a traceback (CFG-04, CFG-10)."""
        port = free_port()
        path = self.config(f"server: {{port: {port}, prot: 1}}\nwebsocket: {{idle_s: -1}}")
        done = run("serve", "-c", path)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 2, done.stderr)
        self.assertNotIn("listening", done.stdout)


class AddressTests(SynchronousTestCase):
    def test_what_people_write(self) -> None:
        """ws, wss, http, https, bare names, IPv6 and a path with /ws are understood."""
        for text, http, socket in (
            ("ws://h:1", "http://h:1/x", "ws://h:1/ws"),
            ("http://h:1/", "http://h:1/x", "ws://h:1/ws"),
            ("https://h", "https://h:443/x", "wss://h:443/ws"),
            ("wss://h/gate/ws", "https://h:443/gate/x", "wss://h:443/gate/ws"),
            ("h:3001", "http://h:3001/x", "ws://h:3001/ws"),
            ("ws://[::1]:1", "http://[::1]:1/x", "ws://[::1]:1/ws"),
        ):
            address = Address.parse(text)
            self.assertEqual((address.url("http", "/x"), address.url("ws", "/ws")), (http, socket))

    def test_what_is_none(self) -> None:
        """Anything else is refused."""
        for text in ("ftp://h", "ws://", "ws://h?x=1", "", "ws://h:0", "ws://h:99999", "ws://h:x"):
            error = self.assertRaises(ValueError, Address.parse, text)
            self.assertIn("is no address such as ws://", str(error))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def result(text: str, *, final: bool = False, end: bool = False, **more: Any) -> dict[str, Any]:
    return {
        "type": "stt_result",
        "transcript": text,
        "is_final": final,
        "is_speech_final": end,
        "confidence": 1.0,
    } | more


class ScreenTests(SynchronousTestCase):
    def test_finals_only_where_nobody_watches(self) -> None:
        """Without a terminal only final lines are printed, on standard output."""
        out, err = io.StringIO(), io.StringIO()
        screen = Screen(out, err, is_json=False)
        screen.result(result("hel"))
        screen.progress(0.5)
        screen.result(result("hello", final=True))
        screen.result(result("", final=True, end=True))
        screen.done()
        self.assertEqual((out.getvalue(), err.getvalue()), ("hello\n", ""))

    def test_a_forced_final_is_not_said_twice(self) -> None:
        """A forced final repeats its turn's text: it is printed only where the turn had no final."""
        out = io.StringIO()
        screen = Screen(out, io.StringIO(), is_json=False)
        screen.result(result("one", final=True))
        screen.result(result("two", final=True))
        screen.result(result("one two", final=True, end=True, forced=True))
        screen.result(result("three", final=True, end=True, forced=True))
        self.assertEqual(out.getvalue(), "one\ntwo\nthree\n")

    def test_a_terminal_shows_what_is_going_on(self) -> None:
        """On a terminal the partial text and a progress bar change in place and leave nothing behind."""
        out, err = io.StringIO(), Terminal()
        screen = Screen(out, err, is_json=False)
        screen.progress(0.25)
        screen.result(result("hel"))
        self.assertIn("[#####...............]  25 % hel", err.getvalue())
        screen.result(result("hello", final=True))
        screen.done()
        self.assertTrue(err.getvalue().endswith("\r\x1b[K"))
        self.assertEqual(out.getvalue(), "hello\n")

    def test_json(self) -> None:
        """--json prints every result as it came."""
        out = io.StringIO()
        screen = Screen(out, io.StringIO(), is_json=True)
        screen.result(result("hel"))
        screen.result(result("hello", final=True))
        self.assertEqual(
            [json.loads(line)["transcript"] for line in out.getvalue().splitlines()],
            ["hel", "hello"],
        )


class Answering(WebSocketServerProtocol):
    """A gateway's /ws as far as ``waav listen`` can see."""

    factory: Any

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if isBinary:
            self.factory.heard += payload
            self.factory.sizes.append(len(payload))
            if self.factory.hangs_up:
                self.transport.abortConnection()
            return
        message = json.loads(payload)
        self.factory.told.append(message)
        if message["type"] == "ping":
            self.factory.pinged.append((self, message["timestamp"]))
            if not self.factory.is_behind:
                self.factory.catch_up()
            return
        if self.factory.error:
            self.say({"type": "error", "message": self.factory.error})
            return
        if message.get("audio") is False and self.factory.is_mute:
            return
        if message.get("audio") is False:
            self.finish(self.factory.results)
            return
        self.say({"type": "ready", "stream_id": "x"})

    def finish(self, results: int) -> None:
        """The last results, a quarter of a second each."""
        if results:
            self.say(result(f"result {results}", final=True, end=True))
            reactor.callLater(0.25, self.finish, results - 1)
            return
        self.say(result(self.factory.last_words, final=True, end=True))
        self.say({"type": "ready", "stream_id": "x"})

    def say(self, message: dict[str, Any]) -> None:
        self.sendMessage(json.dumps(message).encode())


class Calls(WebSocketServerFactory):
    """What the gateway's /ws was told, and how it is to behave."""

    protocol = Answering

    def __init__(self) -> None:
        super().__init__()
        self.heard, self.sizes, self.told = b"", list[int](), list[dict[str, Any]]()
        self.error, self.hangs_up, self.last_words = "", False, "and more"
        self.is_behind = self.is_mute = False
        self.results = 0
        self.pinged: list[tuple[Any, float]] = []

    def catch_up(self) -> None:
        """Answer all pings."""
        pinged, self.pinged = self.pinged, []
        for call, timestamp in pinged:
            call.say({"type": "pong", "timestamp": timestamp})


class Route(Resource):
    isLeaf = True

    def __init__(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        super().__init__()
        self.code, self.body, self.headers = code, body, headers or {}
        self.asked: list[Any] = []
        self.uris: list[bytes] = []

    def render(self, request: IRequest) -> bytes:
        request.setResponseCode(self.code)
        self.uris.append(request.uri)
        for name, value in self.headers.items():
            request.setHeader(name, value)
        body = request.content.read()
        self.asked.append(json.loads(body) if body else None)
        return self.body


class ClientCase(TestCase):
    """A gateway of our own making on the loopback interface."""

    def setUp(self) -> None:
        self.calls: Any = Calls()
        self.root = Resource()
        defaults = {"defaults": {"stt": "acme", "tts": "acme"}}
        self.root.putChild(b"providers", Route(200, json.dumps(defaults).encode()))
        self.root.putChild(b"ws", WebSocketResource(self.calls))
        port = reactor.listenTCP(0, Site(self.root), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.calls.startFactory()
        self.address = Address.parse(f"ws://127.0.0.1:{port.getHost().port}")

    def listening(self, sound: bytes, **more: Any) -> tuple[Any, io.StringIO, io.StringIO]:
        path = Path(self.mktemp())
        path.write_bytes(sound)
        source = path.open("rb")
        self.addCleanup(source.close)
        out, err = io.StringIO(), io.StringIO()
        raw = more.pop("raw", None)
        settings = more.pop("settings", {})
        wanted = ListenJob(source, len(sound), raw, settings, **more)
        return Deferred.fromCoroutine(listen(reactor, self.address, wanted, out, err)), out, err


class ListenTests(ClientCase):
    async def test_a_file(self) -> None:
        """Every sample of a WAV of any rate is sent after its format was told, then silence; the last result is waited for."""
        fmt = AudioFormat("linear16", 8000)
        sound = bytes(range(256)) * 40
        done, out, _ = self.listening(pack(fmt, sound))
        self.assertEqual(await done, 0)
        self.assertEqual(out.getvalue(), "and more\n")
        first, last = self.calls.told
        self.assertEqual(
            first["stt_config"],
            {"provider": "acme", "encoding": "linear16", "sample_rate": 8000, "channels": 1},
        )
        self.assertEqual(last, {"type": "config", "audio": False})
        self.assertEqual(self.calls.heard[: len(sound)], sound)
        self.assertEqual(self.calls.heard[len(sound) :], bytes(16000))

    async def test_raw_sound(self) -> None:
        """Raw mu-law is sent as it is, with silence of its own kind behind it."""
        fmt = raw_format("mulaw", 8000, None)
        done, _, _ = self.listening(b"\x10" * 1000, raw=fmt, settings={"provider": "local"})
        self.assertEqual(await done, 0)
        self.assertEqual(self.calls.told[0]["stt_config"]["encoding"], "mulaw")
        self.assertEqual(self.calls.heard, b"\x10" * 1000 + b"\xff" * 8000)

    async def test_real_time(self) -> None:
        """--realtime sends pieces of 20 ms, no faster than they last."""
        began = reactor.seconds()
        done, _, _ = self.listening(
            pack(AudioFormat("linear16", 8000), bytes(1600)), is_realtime=True
        )
        self.assertEqual(await done, 0)
        self.assertEqual(set(self.calls.sizes), {320})
        # 0.1 s of sound and a second of silence; the last piece leaves when it begins.
        self.assertGreater(reactor.seconds() - began, 1.05)

    async def test_no_speech(self) -> None:
        """A sound in which nothing was recognised is said to have none."""
        self.calls.last_words = "  "
        done, out, err = self.listening(pack(AudioFormat(), bytes(3200)))
        self.assertEqual(await done, 0)
        self.assertEqual((out.getvalue(), err.getvalue()), ("", "waav: no speech in it\n"))

    async def test_not_too_far_ahead(self) -> None:
        """Of a long sound only some seconds are on their way at once: the gateway is asked how far it is."""
        self.calls.is_behind = True
        done, _, _ = self.listening(pack(AudioFormat("linear16", 8000), bytes(16000 * 60)))
        await until(lambda: sum(one["type"] == "ping" for one in self.calls.told) >= 3)
        await deferLater(reactor, 0.2)
        self.assertLessEqual(len(self.calls.heard) / 16000, 21)
        self.calls.is_behind = False
        self.calls.catch_up()
        self.assertEqual(await done, 0)
        self.assertEqual(len(self.calls.heard), 16000 * 61)

    async def test_a_gateway_that_is_slow(self) -> None:
        """Results that keep coming are waited for, however long they take; silence has an end."""
        self.patch(listen_module, "FINISH_S", 0.5)
        self.calls.results = 6
        done, out, _ = self.listening(pack(AudioFormat(), bytes(3200)))
        self.assertEqual(await done, 0)
        self.assertEqual(len(out.getvalue().splitlines()), 7)
        self.calls.results, self.calls.is_mute = 0, True
        done, _, _ = self.listening(pack(AudioFormat(), bytes(3200)))
        with self.assertRaises(RefusedByGateway) as caught:
            await done
        self.assertIn("said nothing for", caught.exception.message)

    async def test_errors_in_words(self) -> None:
        """What the protocol begins with words for programs is said to people in words for people."""
        self.calls.error = "Failed to start voice manager: wrong key"
        done, _, err = self.listening(pack(AudioFormat(), bytes(3200)))
        self.assertEqual(await done, 1)
        self.assertEqual(err.getvalue(), "waav: the call could not begin: wrong key\n")

    async def test_an_error_of_the_gateway(self) -> None:
        """An error is shown and the exit code is 1."""
        self.calls.error = "Unsupported provider: acme"
        done, out, err = self.listening(pack(AudioFormat(), bytes(3200)))
        self.assertEqual(await done, 1)
        self.assertEqual(
            (out.getvalue(), err.getvalue()), ("", "waav: Unsupported provider: acme\n")
        )

    async def test_a_lost_connection(self) -> None:
        """A connection that breaks is told, not waited for."""
        self.calls.hangs_up = True
        done, _, _ = self.listening(pack(AudioFormat(), bytes(320000)))
        with self.assertRaises(RefusedByGateway) as caught:
            await done
        self.assertIn("closed the connection", caught.exception.message)

    async def test_what_is_no_sound(self) -> None:
        """What cannot be recognised is refused with what to do about it: no sound file, nothing, a WAV
        without samples, a WAV said to be raw."""
        raw = raw_format(None, 8000, None)
        sounds: list[tuple[bytes, AudioFormat | None, str]] = [
            (b"hello, this is text", None, "this is no sound file; for raw sound give --rate"),
            (b"RIF", None, "this is no sound file"),
            (b"", None, "there is no sound in it"),
            (b"", raw, "there is no sound in it"),
            (pack(AudioFormat(), b""), None, "there is no sound in it"),
            (pack(AudioFormat(), bytes(3200)), raw, "this is WAV; leave out --rate"),
        ]
        for sound, fmt, said in sounds:
            done, out_text, _ = self.listening(sound, raw=fmt)
            with self.assertRaises(BadRequest) as caught:
                await done
            self.assertIn(said, caught.exception.message)
            self.assertNotIn("\n", caught.exception.message)
            self.assertEqual(out_text.getvalue(), "")

    async def test_a_pipe_that_says_nothing(self) -> None:
        """A gateway that goes away is told at once, though the pipe that is read stays open."""
        mine, theirs = os.pipe()
        source = os.fdopen(mine, "rb")
        self.addCleanup(source.close)
        self.addCleanup(os.close, theirs)
        os.write(theirs, pack(AudioFormat(), bytes(32000)))
        self.calls.hangs_up = True
        wanted = ListenJob(source, None, None, {"provider": "acme"})
        with self.assertRaises(RefusedByGateway) as caught:
            await listen(reactor, self.address, wanted, io.StringIO(), io.StringIO())
        self.assertIn("closed the connection", caught.exception.message)

    async def test_nobody_there(self) -> None:
        """Without a gateway the message says how to start one."""
        self.address = Address.parse(f"ws://127.0.0.1:{free_port()}")
        for settings in ({}, {"provider": "local"}):
            done, _, _ = self.listening(pack(AudioFormat(), bytes(3200)), settings=settings)
            with self.assertRaises(NoGateway) as caught:
                await done
            self.assertIn("start one with: waav serve", caught.exception.message)


class SayTests(ClientCase):
    def speaking(self, code: int, body: bytes, more: dict[str, str] | None = None) -> Route:
        told = {"x-audio-format": "linear16", "x-sample-rate": "24000"}
        route = Route(code, body, {**told, **(more or {})})
        self.root.putChild(b"speak", route)
        return route

    async def test_a_file(self) -> None:
        """The audio is written as WAV of the rate that the gateway told."""
        route = self.speaking(200, b"\1\2" * 50)
        path = self.mktemp()
        code = await say(reactor, self.address, "hello", {"voice_id": "v"}, path)
        self.assertEqual(code, 0)
        self.assertEqual(
            Path(path).read_bytes(), pack(AudioFormat("linear16", 24000), b"\1\2" * 50)
        )
        self.assertEqual(
            route.asked, [{"text": "hello", "tts_config": {"voice_id": "v", "provider": "acme"}}]
        )

    async def test_a_streamed_file_gets_its_length(self) -> None:
        """A WAV that the gateway streamed is kept with its true length, so that every player shows it."""
        fmt = AudioFormat("linear16", 24000)
        self.speaking(200, header(fmt, None) + b"ab" * 50)
        path = self.mktemp()
        await say(reactor, self.address, "x", {"audio_format": "wav", "provider": "p"}, path)
        self.assertEqual(Path(path).read_bytes(), pack(fmt, b"ab" * 50))

    async def test_a_format_is_kept(self) -> None:
        """Audio in a format that was asked for is written as it came."""
        self.speaking(200, b"ID3...")
        path = self.mktemp()
        await say(reactor, self.address, "x", {"audio_format": "mp3", "provider": "p"}, path)
        self.assertEqual(Path(path).read_bytes(), b"ID3...")

    async def test_what_is_not_as_asked(self) -> None:
        """What the gateway could not do as asked is told beside the audio."""
        fmt = AudioFormat("linear16", 24000)
        headers = {"x-warnings": "speaking_rate 9 becomes 4"}
        self.speaking(200, pack(fmt, b"ab"), headers)
        err = io.StringIO()
        self.patch(sys, "stderr", err)
        await say(reactor, self.address, "x", {"speaking_rate": 9.0}, self.mktemp())
        self.assertEqual(err.getvalue(), "waav: speaking_rate 9 becomes 4\n")

    async def test_a_refusal(self) -> None:
        """What the gateway says about a refused text is the message, and no file is left."""
        self.speaking(400, b'{"error": "Text cannot be empty"}')
        path = self.mktemp()
        with self.assertRaises(RefusedByGateway) as caught:
            await say(reactor, self.address, "", {"provider": "p"}, path)
        self.assertEqual(caught.exception.message, "Text cannot be empty")
        self.assertFalse(Path(path).exists())

    async def test_a_file_that_cannot_be_written(self) -> None:
        """A file that cannot be written is named with the reason."""
        self.speaking(200, b"\1\2" * 50)
        path = f"{self.mktemp()}/none/a.wav"
        with self.assertRaises(OSError) as caught:
            await say(reactor, self.address, "x", {"provider": "p"}, path)
        self.assertEqual(str(caught.exception), f"cannot write {path}: No such file or directory")

    async def test_voices(self) -> None:
        """Voices are listed with provider, id, name and language; no voices are exit code 1."""
        voice = {"id": "v1", "name": "Ann", "language": "English", "gender": "Female"}
        self.root.putChild(b"voices", Route(200, json.dumps({"acme": [voice]}).encode()))
        out = io.StringIO()
        self.patch(sys, "stdout", out)
        self.assertEqual(await voices(reactor, self.address, None, False), 0)
        self.assertEqual(out.getvalue().split(), ["acme", "v1", "Ann", "(English,", "Female)"])

    async def test_no_voices(self) -> None:
        """A provider that nobody has and one without a key are told apart; so is a gateway without voices."""
        for answer, asked, said in (
            (
                {"errors": {"typo": "Unsupported provider: typo"}},
                "typo",
                "typo: Unsupported provider",
            ),
            ({"errors": {"openai": "API key not configured"}}, "openai", "openai: API key not"),
            ({"errors": {"openai": "API key not configured"}}, None, "no voices"),
        ):
            route = Route(200, json.dumps(answer).encode())
            self.root.putChild(b"voices", route)
            err = io.StringIO()
            self.patch(sys, "stderr", err)
            self.assertEqual(await voices(reactor, self.address, asked, False), 1)
            self.assertIn(said, err.getvalue())
            self.assertEqual(len(err.getvalue().splitlines()), 1)
            self.assertEqual(route.uris[0].partition(b"provider=")[2].decode(), asked or "")


class NoTls(Protocol):
    """Answers a greeting of TLS as a web server without it does."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


class Stalling(Protocol):
    """Begins an answer and says no more."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")


class TrustTests(TestCase):
    """A gateway with a certificate of its own making."""

    def setUp(self) -> None:
        self.cert, key = write_pair(Path(self.mktemp()))
        pem = PrivateCertificate.loadPEM(self.cert.read_bytes() + key.read_bytes())
        root = Resource()
        root.putChild(b"voices", Route(200, b'{"acme": []}'))
        port = reactor.listenSSL(0, Site(root), pem.options(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.number = port.getHost().port

    async def refused(self, url: str, ca: Path | None = None) -> str:
        """What is said of it."""
        address = replace(Address.parse(url), ca=ca)
        with self.assertRaises(NoGateway) as caught:
            await voices(reactor, address, None, False)
        said: str = caught.exception.message
        self.assertNotIn("<", said)
        self.assertNotIn("\n", said)
        return said

    async def test_not_trusted(self) -> None:
        """What is wrong is said in words, with how to trust it; nobody is told to start a gateway that answers."""
        said = await self.refused(f"wss://localhost:{self.number}")
        self.assertIn("the certificate is not trusted", said)
        self.assertIn("--ca FILE", said)
        self.assertNotIn("waav serve", said)

    async def test_trusted(self) -> None:
        """With --ca it is believed; for the name that stands in it, and no other."""
        self.patch(sys, "stderr", io.StringIO())
        address = replace(Address.parse(f"wss://localhost:{self.number}"), ca=self.cert)
        self.assertEqual(await voices(reactor, address, None, False), 1)
        said = await self.refused(f"wss://127.0.0.1:{self.number}", self.cert)
        self.assertIn("another host's", said)

    async def test_no_tls(self) -> None:
        """A port that speaks no TLS is said to speak none."""
        port = reactor.listenTCP(0, Factory.forProtocol(NoTls), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        said = await self.refused(f"wss://localhost:{port.getHost().port}")
        self.assertIn("does not speak TLS", said)

    async def test_silence(self) -> None:
        """Nobody waits for ever for a port that takes connections and says nothing."""
        port = reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.patch(client_module, "ANSWER_S", 0.1)
        said = await self.refused(f"ws://localhost:{port.getHost().port}")
        self.assertIn("nothing was answered within 0.1 s", said)

    async def test_an_answer_that_stops_coming(self) -> None:
        """Nor for the rest of an answer of which the beginning has come."""
        port = reactor.listenTCP(0, Factory.forProtocol(Stalling), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.patch(client_module, "ANSWER_S", 0.5)
        said = await self.refused(f"ws://localhost:{port.getHost().port}")
        self.assertIn("nothing was answered within 0.5 s", said)


class TrustFileTests(SynchronousTestCase):
    def test_a_file_that_is_none(self) -> None:
        """A file without certificates, or that is not there, is one line and exit code 1."""
        nothing = Path(self.mktemp())
        nothing.write_text("x")
        for file, text in (
            (nothing, "holds no PEM certificate"),
            (Path("/none"), "cannot read /none"),
        ):
            err = io.StringIO()
            self.patch(sys, "stderr", err)
            self.assertEqual(main(["voices", "--ca", str(file)]), 1)
            self.assertIn(text, err.getvalue())


class Interrupting(WebSocketServerProtocol):
    """Presses Ctrl-C in the terminal of whoever connects."""

    def onOpen(self) -> None:
        self.factory.process.signalProcess("INT")


class ProgramTests(TestCase):
    async def program(self, *arguments: str) -> tuple[str, str, int]:
        out, err, code = await getProcessOutputAndValue(
            sys.executable, ["-m", "waav.cli.main", *arguments], env=None
        )
        return out.decode(), err.decode(), code

    async def test_no_gateway_is_one_line(self) -> None:
        """A client without a gateway ends with 3 and one line."""
        out, err, code = await self.program("say", "x", "--url", f"ws://127.0.0.1:{free_port()}")
        self.assertEqual((out, code), ("", 3))
        self.assertEqual(len(err.splitlines()), 1, err)

    async def test_an_interrupt_does_not_wait_for_a_pipe(self) -> None:
        """Ctrl-C ends listen although its standard input stays open: exit code 130, nothing printed."""
        gateway: Any = WebSocketServerFactory()
        gateway.protocol = Interrupting
        port = reactor.listenTCP(0, gateway, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        watched = Output()
        url = f"ws://127.0.0.1:{port.getHost().port}"
        arguments = ["-m", "waav.cli.main", "listen", "-", "--provider", "x", "--url", url]
        gateway.process = reactor.spawnProcess(
            watched, sys.executable, [sys.executable, *arguments], env=None
        )
        self.assertEqual(await watched.ended, 130)
        self.assertEqual(watched.text, "")

    async def test_a_file_that_is_not_there(self) -> None:
        """A sound file that does not exist is one line and exit code 1."""
        _, err, code = await self.program("listen", "/nowhere.wav")
        self.assertEqual(
            (code, err), (1, "waav: cannot read /nowhere.wav: No such file or directory\n")
        )

    async def test_start_and_stop(self) -> None:
        """serve prints the console's address, answers, and ends at SIGTERM; a second one on the port ends with 3 (F-036)."""
        gateway = GatewayProcess(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(gateway.stop()))
        await gateway.started()
        _, err, code = await self.program("serve", "-c", str(gateway.folder / "waav.yaml"))
        self.assertEqual(code, 3)
        self.assertEqual(len(err.splitlines()), 1, err)
        self.assertEqual(await gateway.stop(), 0)
        self.assertIn(f"console: http://localhost:{gateway.port}/console", gateway.output.text)
        self.assertNotIn("Traceback", gateway.output.text)
        self.assertFalse((gateway.folder / "twistd.pid").exists())

    async def test_twistd(self) -> None:
        """twistd finds the plugin and checks its configuration before anything else."""
        out, err, code = await getProcessOutputAndValue(
            sys.executable,
            ["-m", "twisted", "--help"],
            env=None,
        )
        self.assertEqual(code, 0)
        out, err, code = await getProcessOutputAndValue(
            sys.executable,
            [
                "-c",
                "from twisted.scripts.twistd import run; run()",
                "-n",
                "--pidfile=",
                "waav",
                "--check-config",
            ],
            env=None,
        )
        self.assertEqual(code, 0, err)
        self.assertIn(b"server.port = 3001", out)


class InitTests(SynchronousTestCase):
    def config(self, **models: Any) -> Config:
        return Config(
            models=ModelSettings(path=self.mktemp(), **models),
            turn_detection=TurnSettings(enabled=True),
        )

    def test_nothing_switched_on(self) -> None:
        """Without a feature that needs a model there is nothing to fetch, and that is no failure (F-037)."""
        err = io.StringIO()
        self.assertEqual(initialise(Config(models=ModelSettings(offline=True)), err), 0)
        self.assertIn("--all", err.getvalue())

    def test_what_cannot_be_had(self) -> None:
        """A model that cannot be fetched is one line and exit code 1 (F-037, TURN-05)."""
        err = io.StringIO()
        self.assertEqual(initialise(self.config(offline=True), err), 1)
        self.assertEqual(len(err.getvalue().splitlines()), 1)
        self.assertIn("smart-turn", err.getvalue())

    def test_the_command_honours_the_configuration(self) -> None:
        """init reads -c, YAML and environment, and is there in every installation (TURN-05)."""
        path = Path(self.mktemp())
        folder = Path(self.mktemp()).absolute()
        path.write_text(
            f"turn_detection: {{enabled: true}}\ncache: {{path: {folder}}}\nmodels: {{offline: true}}\n"
        )
        done = run("init", "-c", str(path))
        self.assertEqual(done.returncode, 1)
        self.assertIn(str(folder / "models"), done.stderr)


class FetchTests(TestCase):
    async def test_it_can_be_repeated_and_awaited(self) -> None:
        """init run from code fetches a model, checks it, and has nothing to do the second time (F-037, F-039)."""
        model = b"a model" * 1000
        route = Route(200, model)
        root = Resource()
        root.putChild(b"turn.onnx", route)
        route.render = lambda request: (route.asked.append(1), model)[1]  # type: ignore[method-assign]
        port = reactor.listenTCP(0, Site(root), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        turn = TurnSettings(
            enabled=True,
            source=f"http://127.0.0.1:{port.getHost().port}/turn.onnx",
            sha256=hashlib.sha256(model).hexdigest(),
        )
        folder = Path(self.mktemp())
        config = Config(models=ModelSettings(path=str(folder)), turn_detection=turn)
        for _ in range(2):
            err = Terminal()
            self.assertEqual(await deferToThread(initialise, config, err), 0)
            self.assertIn("smart-turn: ready", err.getvalue())
        self.assertEqual(len(route.asked), 1)
        self.assertIn(model, [one.read_bytes() for one in folder.iterdir()])

    async def test_a_wrong_model_is_refused(self) -> None:
        """A file with another hash than the configured one is not kept, and the exit code is 1 (F-037)."""
        root = Resource()
        root.putChild(b"turn.onnx", Route(200, b"something else"))
        port = reactor.listenTCP(0, Site(root), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        turn = TurnSettings(
            enabled=True,
            source=f"http://127.0.0.1:{port.getHost().port}/turn.onnx",
            sha256="0" * 64,
        )
        folder = Path(self.mktemp())
        config = Config(models=ModelSettings(path=str(folder)), turn_detection=turn)
        err = io.StringIO()
        self.assertEqual(await deferToThread(initialise, config, err), 1)
        self.assertEqual([one.name for one in folder.iterdir() if one.suffix == ".onnx"], [])
