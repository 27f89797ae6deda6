"""``waav say``: have a running gateway speak a text."""

import argparse
import sys
from pathlib import Path
from typing import Any

from waav.cli.choices import address_of, positive
from waav.cli.client import Address, RemoteGateway
from waav.cli.exits import OK
from waav.cli.run import run
from waav.speech.audio import AudioFormat
from waav.speech.formats import resolve
from waav.speech.wav import pack, with_sizes


def add(commands: Any, client: argparse.ArgumentParser) -> None:
    """Add the command."""
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
    command.add_argument("--rate", type=positive, metavar="HZ", help="sample rate")
    command.add_argument("--speed", type=float, help="speaking rate, 1.0 is normal")
    command.set_defaults(command=_say)


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
    address = address_of(options)
    return run(lambda reactor: say(reactor, address, text, chosen, options.output))


async def say(
    reactor: Any, address: Address, text: str, settings: dict[str, Any], output: str | None
) -> int:
    """Have a text spoken and keep it; returns the exit code."""
    gateway = RemoteGateway(reactor, address)
    if "provider" not in settings:
        settings["provider"] = (await gateway.defaults())["tts"]
    spoken = await gateway.speak(text, settings)
    audio = spoken.audio
    if spoken.warnings:
        print(f"waav: {spoken.warnings}", file=sys.stderr)
    if "audio_format" not in settings:
        audio = _as_wav(audio, resolve(spoken.format, spoken.rate_hz))
    else:
        # It was streamed, so its header says that nobody knows how long it is. Now we do.
        audio = with_sizes(audio)
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
