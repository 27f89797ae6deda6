"""What vendors do wrong is in the log: once per call and cause, with everything that an operator asks for."""

import io
import json
from typing import Any

from twisted.logger import LogLevel, globalLogPublisher

from tests.session.fakes import listening_provider, speaking_provider
from tests.session.test_session import FRAME, PCM24K, SessionCase, both
from waav.errors import ProviderBusy, ProviderLost, ProviderRefused, ProviderTimeout
from waav.ops.logs import LineObserver
from waav.ops.settings import LogSettings
from waav.secret import Secret
from waav.session.call_settings import CallSettings, Listening, Speaking
from waav.session.summary import MOST_CAUSES
from waav.speech import wire
from waav.speech.provider import Account, ListenSettings, SpeakSettings

KEY = "sk-very-secret"


def with_keys() -> CallSettings:
    """A call in which both vendors have keys."""
    account = Account(Secret(KEY), {"token": Secret("other-secret")})
    return CallSettings(
        "stream",
        listening=Listening(listening_provider(), ListenSettings("ears"), account),
        speaking=Speaking(speaking_provider(), SpeakSettings("mouth", PCM24K), account),
    )


class TroubleTests(SessionCase):
    def setUp(self) -> None:
        super().setUp()
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def warned(self) -> list[str]:
        """The lines of warnings."""
        return [
            event["log_format"].format(**event)
            for event in self.events
            if event["log_level"] is LogLevel.warn
        ]

    def test_unreachable(self) -> None:
        """A vendor that cannot be reached is told with call, vendor, kind and reason, also if the caller is told too."""
        self.dialler.errors["ears"] = ProviderLost("ears", "ears could not be reached: no route")
        self.failureResultOf(self.session.configure(both()), ProviderLost)
        (line,) = self.warned()
        self.assertIn("stream: ears ProviderLost: ", line)
        self.assertIn("no route", line)

    def test_refused(self) -> None:
        """A refusal in the middle of a call, by who recognises and by who speaks, is told without anybody's key."""
        self.ready(with_keys())
        self.ears.tell(wire.Failed(ProviderRefused("ears", f"no credit for {KEY}")))
        self.session.say("Hello.")
        self.mouth.tell(wire.Failed(ProviderRefused("mouth", "bad token other-secret")))
        lines = self.warned()
        self.assertEqual(
            lines,
            [
                "stream: ears ProviderRefused: no credit for ***",
                "stream: mouth ProviderRefused: bad token ***",
            ],
        )

    def test_lost(self) -> None:
        """A connection that broke off for good is told, and one that was made again."""
        self.ready(with_keys())
        self.ears.tell(wire.Restored(0.0))
        self.ears.tell(wire.Lost(ProviderLost("ears", "closed with 1011")))
        self.assertEqual(
            self.warned(),
            [
                "stream: ears broke off and was connected again",
                "stream: ears ProviderLost: closed with 1011",
            ],
        )

    def test_once_for_each_cause(self) -> None:
        """The same trouble again is not told again in the same call; another kind is, and another call is."""
        self.ready(with_keys())
        for _ in range(50):
            self.ears.tell(wire.Failed(ProviderBusy("ears", "slow down")))
            self.ears.tell(wire.Restored(0.0))
        self.ears.tell(wire.Failed(ProviderTimeout("ears", "too slow")))
        self.assertEqual(len(self.warned()), 3)
        self.successResultOf(self.session.hang_up())
        self.session = self.new_session()
        self.ready(with_keys())
        self.ears.tell(wire.Failed(ProviderBusy("ears", "slow down")))
        self.assertEqual(len(self.warned()), 4)

    def test_a_vendor_with_ever_new_causes(self) -> None:
        """However many kinds of trouble a vendor invents, the log is not filled by one call."""
        summary = self.session.figures
        told = sum(summary.is_new("ears", f"kind {number}") for number in range(1000))
        self.assertEqual(told, MOST_CAUSES)

    def test_programs_read_numbers(self) -> None:
        """A JSON line about trouble, and the one at the end of a call, have each figure as a field."""
        out = io.StringIO()
        observer = LineObserver(out, LogSettings(json=True))
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.ready(with_keys())
        self.session.hear(bytes(3200))
        self.session.say("Hello.")
        self.mouth.speak(PCM24K, FRAME)
        self.mouth.tell(wire.SpokenAll(True))
        self.ears.tell(wire.Failed(ProviderRefused("ears", "no", upstream_status=402)))
        self.successResultOf(self.session.hang_up())
        records = [json.loads(line) for line in out.getvalue().splitlines()]
        trouble = next(one for one in records if one.get("kind") == "ProviderRefused")
        self.assertEqual(
            {
                name: trouble[name]
                for name in ("stream_id", "provider", "upstream_status", "reason")
            },
            {"stream_id": "stream", "provider": "ears", "upstream_status": 402, "reason": "no"},
        )
        end = records[-1]
        self.assertEqual((end["errors"], end["utterances"], end["stt_audio_bytes"]), (1, 1, 3200))
        self.assertNotIn("counts", end)
        self.assertIn("utterances=1", end["message"])
