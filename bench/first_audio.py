"""From ``speak`` to the first frame of speech, less the 80 ms that the vendor's double takes."""

import argparse

from bench import sessions


def arguments(parser: argparse.ArgumentParser) -> None:
    sessions.arguments(parser)


def main(options: argparse.Namespace) -> int:
    """``first-audio``: runs of ``sessions``, of which this is shown."""
    return sessions.main(
        options, "first-audio", ("first_chunk", "ready", "speech_down", "rig", "faults")
    )
