"""The frame lane against Autobahn alone: whatever a peer sends, nothing differs.

``WAAV_SCRIPTS`` says how many random conversations are tried, ``WAAV_SEED`` with which one to begin::

    WAAV_SEED=100000 WAAV_SCRIPTS=200000 python -m twisted.trial tests.net.test_frames_same
"""

import os
from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from tests.net.frame_scripts import Script, play, shorter, written

SEED = int(os.environ.get("WAAV_SEED", "1"))
SCRIPTS = int(os.environ.get("WAAV_SCRIPTS", "3000"))


FAULTS = (
    "RSV = 4 and no extension negotiated",
    "unmasked client-to-server frame",
    "masked server-to-client frame",
    "not using minimal length encoding",
    "continuation data frame outside",
    "non-continuation data frame while inside",
    "control frame with payload length > 125",
    "fragmented control frame",
    "reserved opcode",
    "invalid UTF-8",
    "ended within Unicode code point",
    "invalid close code",
    "exceeds payload limit",
    "PayloadExceededError",
    "ping timeout",
    "closing handshake timeout",
    "peer dropped the TCP connection",
)
"""In the words of Autobahn, or the name of what a call of ours raises."""


def differs(script: Script) -> bool:
    return play(script, True).noticed != play(script, False).noticed


def difference(script: Script) -> str:
    """The first step at which the two went apart."""
    fast, stock = play(script, True).noticed, play(script, False).noticed
    number = next(at for at, pair in enumerate(zip(fast, stock, strict=True)) if pair[0] != pair[1])
    return f"{script}\nafter step {number}\n  lane:     {fast[number]}\n  Autobahn: {stock[number]}"


class SameTests(SynchronousTestCase):
    def test_random_conversations(self) -> None:
        """Callbacks, bytes, states, close codes and timers are Autobahn's in thousands of conversations."""
        for seed in range(SEED, SEED + SCRIPTS):
            script = written(seed)
            if differs(script):
                self.fail(difference(shorter(script, differs)))

    def test_conversations_reach_everything(self) -> None:
        """The scripts are worth their time: the lane has work, and every kind of fault occurs."""
        seen: Counter[str | int] = Counter()
        for seed in range(1, 1001):
            played = play(written(seed), True)
            seen["lane"] += played.messages - played.by_autobahn
            seen["Autobahn"] += played.by_autobahn
            seen.update(played.codes | played.faults)
        for what in ("lane", "Autobahn", 1000, 1002, 1007, 1009, "Disconnected"):
            self.assertGreater(seen[what], 5, what)
        for what in FAULTS:
            self.assertIn(what, " ".join(str(each) for each in seen))
