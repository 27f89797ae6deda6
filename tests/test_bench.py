"""What the benchmark calls worse."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from bench.session import Delays, lost, regressions


def figures(**changed: Any) -> dict[str, Any]:
    """A run without a blemish."""
    row = {"frames": 100, "sent": 100, "lost": 0, "reordered": 0, "p50_ms": 0.4}
    made: dict[str, Any] = {
        "calls": 20, "cpu_percent_per_call": 1.0, "rss_mb_per_call": 0.4,
        "audio_up": row, "audio_down": row, "transcripts": {"p50_ms": 0.4},
    }  # fmt: skip
    return made | changed


class BenchTests(SynchronousTestCase):
    """The verdict on a run."""

    def test_as_before(self) -> None:
        """A run within the tolerance passes."""
        self.assertEqual(lost(figures()), [])
        self.assertEqual(regressions(figures(cpu_percent_per_call=1.4), figures(), 0.5), [])

    def test_worse(self) -> None:
        """A run that costs more than the tolerance allows, or is slower, is reported figure by figure."""
        slow = figures(cpu_percent_per_call=1.6, transcripts={"p50_ms": 0.7})
        self.assertEqual(
            regressions(slow, figures(), 0.5),
            ["cpu_percent_per_call: 1.6, was 1.0", "transcripts.p50_ms: 0.7, was 0.4"],
        )

    def test_other_numbers_of_calls(self) -> None:
        """Costs per call fall with the number of calls, so other numbers are not compared."""
        self.assertIn("20 calls", regressions(figures(calls=40), figures(), 0.5)[0])

    def test_lost_frames(self) -> None:
        """A frame that never came is noticed, also the last ones of a call; so is one that overtook another."""
        delays = Delays()
        for sequence in (0, 1, 3, 2, 4):
            delays.add(0, 1, sequence, 1_000_000)
        row = delays.row()
        self.assertEqual((row["lost"], row["reordered"], row["p50_ms"]), (1, 1, 1.0))
        short = figures(
            audio_up={"frames": 98, "sent": 100, "lost": 0, "reordered": 0, "p50_ms": 0.4}
        )
        self.assertEqual(lost(short), ["audio_up: 2 of 100 missing, 0 lost, 0 reordered"])
