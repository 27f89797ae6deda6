"""How long a transcript takes from the vendor's double to the caller."""

import argparse

from bench import sessions


def arguments(parser: argparse.ArgumentParser) -> None:
    sessions.arguments(parser)


def main(options: argparse.Namespace) -> int:
    """``transcripts``: runs of ``sessions``, of which this is shown."""
    return sessions.main(options, "transcripts", ("transcripts", "audio_up", "rig", "faults"))
