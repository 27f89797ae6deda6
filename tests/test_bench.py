"""The arithmetic of the benchmarks, the rig's own wire, and one small run."""

import json
import sys
from pathlib import Path
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase

from bench import figures, sessions
from bench.rig import frames

ROOT = Path(__file__).resolve().parent.parent


def received(*sequences: int) -> dict[str, Any]:
    """The row of a direction in which these frames came, each after 1 ms."""
    direction = figures.Direction()
    for sequence in sequences:
        direction.delays.add(1_000_000)
        direction.stream("one").add(sequence)
    return direction.row()


class DelayTests(SynchronousTestCase):
    """How long frames take."""

    def test_percentiles(self) -> None:
        """A percentile is the delay that this share of the frames did not exceed."""
        delays = figures.Delays()
        for milliseconds in range(1, 101):
            delays.add(milliseconds * 1_000_000)
        row = delays.row()
        self.assertEqual(row["count"], 100)
        self.assertApproximates(row["p50_ms"], 51, 0.1)
        self.assertApproximates(row["p99_ms"], 100, 0.2)
        self.assertEqual(row["max_ms"], 100)

    def test_long_delays_stay_exact_enough(self) -> None:
        """However long a delay is, it is told to a fifth of a percent, and hours of them need little room."""
        delays = figures.Delays()
        for microseconds in range(1, 2_000_000, 37):
            delays.add(microseconds * 1000)
        self.assertLess(len(delays.counts), 10_000)
        self.assertApproximates(delays.at(0.5), 1000, 2)

    def test_nothing_came(self) -> None:
        """Without frames there are no percentiles."""
        self.assertEqual(figures.Delays().row(), {"count": 0})


class LossTests(SynchronousTestCase):
    """Frames that did not come as they were sent."""

    def test_all_is_well(self) -> None:
        """Frames in order are no fault."""
        row = received(0, 1, 2, 3)
        self.assertEqual((row["received"], row["lost"], row["doubled"]), (4, 0, 0))
        self.assertEqual(figures.faults({"audio_up": row | {"sent": 4}}), [])

    def test_lost(self) -> None:
        """A frame that never came is noticed, also the last one of a call."""
        self.assertEqual(received(0, 1, 3)["lost"], 1)
        self.assertEqual(
            figures.faults({"audio_up": received(0, 1, 2) | {"sent": 5}}),
            ["audio_up: 2 of 5 lost, 0 doubled, 0 reordered"],
        )

    def test_doubled(self) -> None:
        """A frame that comes twice is noticed, and does not stand in for one that is lost."""
        row = received(0, 1, 1, 2)
        self.assertEqual((row["received"], row["doubled"], row["reordered"]), (3, 1, 0))

    def test_reordered(self) -> None:
        """A frame that another overtook is late, not lost."""
        row = received(0, 2, 1, 3)
        self.assertEqual((row["lost"], row["doubled"], row["reordered"]), (0, 0, 1))

    def test_calls_that_are_over_still_count(self) -> None:
        """What a call lost stays on the record after it has ended."""
        direction = figures.Direction()
        for sequence in (0, 2):
            direction.stream("one").add(sequence)
        direction.end("one")
        direction.stream("two").add(0)
        row = direction.row()
        self.assertEqual((row["received"], row["lost"]), (3, 1))
        self.assertEqual(list(direction.streams), ["two"])

    def test_errors_are_faults(self) -> None:
        """What a caller was told as an error fails the run."""
        self.assertEqual(figures.faults({"errors": ["no"]}), ["error: no"])


class SummaryTests(SynchronousTestCase):
    """Several rounds in one line."""

    def test_median_least_most(self) -> None:
        """Three rounds give the one in the middle, and how far they lie apart; figures in figures have dots."""
        runs = [{"cpu": value, "up": {"p50_ms": value / 10}} for value in (3.0, 1.0, 2.0)]
        row = figures.summary(runs)
        self.assertEqual(row["cpu"], {"median": 2.0, "min": 1.0, "max": 3.0})
        self.assertEqual(row["up.p50_ms"], {"median": 0.2, "min": 0.1, "max": 0.3})

    def test_only_what_all_runs_have(self) -> None:
        """A figure that one run lacks is left out, as are words and yes or no."""
        runs = [{"a": 1, "b": 2, "name": "x", "is": True}, {"a": 1}]
        self.assertEqual(list(figures.summary(runs)), ["a"])

    def test_ratio_of_medians(self) -> None:
        """Ours is divided by theirs, figure by figure, and by nothing that is 0."""
        ours = figures.summary([{"cpu": 3.0, "lost": 0}])
        theirs = figures.summary([{"cpu": 2.0, "lost": 0}])
        self.assertEqual(figures.ratios(ours, theirs), {"cpu": 1.5})

    def test_targets_of_one_number_of_calls(self) -> None:
        """The line that sums up compares us with each peer, but not with the rig, which costs nothing."""
        runs = [
            {"target": name, "calls": 20, "cpu_percent_per_call": cpu}
            for name, cpu in (("waav", 1.0), ("picows", 0.5), ("rig", 0.1)) * 2
        ]
        found = sessions.summarised(runs)
        self.assertEqual(found["rounds"], 2)
        self.assertEqual(found["ratio"], {"picows": {"cpu_percent_per_call": 2.0}})

    def test_slope(self) -> None:
        """Memory that grows by 2 MB an hour, with noise, is told as 2; one point has no slope."""
        points = [(hour / 10, 100 + 2 * hour / 10 + (-1) ** hour * 0.01) for hour in range(100)]
        self.assertApproximates(figures.slope(points), 2.0, 0.01)
        self.assertEqual(figures.slope([(1.0, 5.0)]), 0.0)

    def test_one_line(self) -> None:
        """A run is one line of JSON, whatever it holds."""
        text = figures.line({"what": "x", "errors": ["two\nlines"]})
        self.assertNotIn("\n", text)
        self.assertEqual(json.loads(text)["errors"], ["two\nlines"])


class Received(frames.Frames):
    """A rig socket that writes down what came."""

    def __init__(self) -> None:
        self.came: list[bytes] = []
        self.is_open = True

    def binary(self, data: bytes, start: int, stop: int, key: bytes) -> None:
        payload = data[start:stop]
        self.came.append(frames.xor(payload, key) if key else payload)

    def text(self, payload: bytes) -> None:
        self.came.append(payload)


class WireTests(SynchronousTestCase):
    """The rig reads what it is sent, however it is cut: its own mistakes must not look like ours."""

    def test_any_pieces(self) -> None:
        """Masked and unmasked frames of every length class arrive whole, also byte by byte."""
        payloads = [b"", b"a", bytes(range(125)), bytes(126), b"x" * 65535, b"y" * 65536]
        key = b"\x01\x02\x03\x04"
        plain = b"".join(frames.head(frames.BINARY, len(one)) + one for one in payloads)
        masked = b"".join(
            frames.head(frames.BINARY, len(one), 0x80) + key + frames.xor(one, key)
            for one in payloads[:4]
        )
        whole = Received()
        whole.read(plain)
        self.assertEqual(whole.came, payloads)
        bytewise = Received()
        for at in range(len(masked)):
            bytewise.read(masked[at : at + 1])
        self.assertEqual(bytewise.came, payloads[:4])

    def test_what_it_cannot_read(self) -> None:
        """A fragment ends the run with an error instead of being miscounted."""
        with self.assertRaises(RuntimeError):
            Received().read(b"\x02\x01a")

    def test_stamps_survive_the_mask(self) -> None:
        """The caller's quick way of masking is the real one."""
        from bench.rig import callers

        stamp = figures.STAMP.pack(figures.MARK, 1, 2, 3, 4)
        quick = (int.from_bytes(stamp, "little") ^ callers.STRETCHED).to_bytes(len(stamp), "little")
        self.assertEqual(frames.xor(quick + callers.PADDING, callers.KEY), stamp + bytes(616))


class RunTests(TestCase):
    """The real thing, small."""

    async def test_two_calls(self) -> None:
        """``python -m bench sessions`` starts everything, loses no frame and prints a line for each run."""
        command = [
            "-m",
            "bench",
            "sessions",
            "--calls",
            "2",
            "--seconds",
            "2",
            "--only",
            "waav",
            "--no-pin",
        ]
        out, err, code = await getProcessOutputAndValue(
            sys.executable, command, env=None, path=str(ROOT)
        )
        self.assertEqual(code, 0, err.decode(errors="replace"))
        run, summed = (json.loads(one) for one in out.splitlines())
        self.assertEqual((run["what"], run["target"], run["faults"]), ("sessions", "waav", []))
        self.assertEqual(run["audio_up"]["received"], run["audio_up"]["sent"])
        self.assertGreater(run["cpu_percent_per_call"], 0)
        self.assertGreater(run["speech_down"]["received"], 0)
        self.assertEqual(summed["what"], "sessions summary")
        self.assertEqual(summed["targets"]["waav"]["audio_up.p50_ms"]["max"],
                         run["audio_up"]["p50_ms"])  # fmt: skip
