"""Speech-final times: who has the last word."""

from twisted.trial.unittest import SynchronousTestCase

from waav.errors import BadRequest
from waav.session.settings import SpeechFinalSettings
from waav.session.timing import timing
from waav.speech.provider import Provider


class TimingTests(SynchronousTestCase):
    """Defaults, provider, operator, call."""

    def test_defaults(self) -> None:
        """Without anything set the documented defaults hold (VM-03)."""
        times = timing(SpeechFinalSettings(), Provider("v"), {})
        self.assertEqual(
            (
                times.wait_ms,
                times.inference_timeout_ms,
                times.hard_timeout_ms,
                times.duplicate_window_ms,
            ),
            (1800, 500, 4000, 500),
        )

    def test_precedence(self) -> None:
        """What suits the provider, what the operator says for it, and what the call says, each win over the
        one before (VM-04)."""
        provider = Provider("v", timing={"wait_s": 1.0, "hard_timeout_s": 9.0})
        operator = SpeechFinalSettings(
            inference_timeout_ms=100, providers={"v": {"wait_ms": 700, "hard_timeout_ms": 8000}}
        )
        self.assertEqual(timing(SpeechFinalSettings(), provider, {}).wait_ms, 1000)
        times = timing(operator, provider, {"wait_ms": 300})
        self.assertEqual(
            (times.wait_ms, times.hard_timeout_ms, times.inference_timeout_ms), (300, 8000, 100)
        )

    def test_other_provider(self) -> None:
        """What the operator says for one provider concerns no other."""
        operator = SpeechFinalSettings(providers={"w": {"wait_ms": 700}})
        self.assertEqual(timing(operator, Provider("v"), {}).wait_ms, 1800)

    def test_wrong(self) -> None:
        """A setting that cannot be is refused by name."""
        for name, value in (
            ("wait_ms", 0),
            ("wait_ms", "long"),
            ("wait_ms", True),
            ("interim_rearms", 1),
            ("hard_timeout_from", "yesterday"),
            ("wiat_ms", 3),
            ("providers", {}),
        ):
            error = self.assertRaises(
                BadRequest, timing, SpeechFinalSettings(), Provider("v"), {name: value}
            )
            self.assertIn(f"speech_final.{name} ", error.message)
