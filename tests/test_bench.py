"""The arithmetic of the benchmarks, the rig's own wire, and one small run."""

import argparse
import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase

from bench import chart, figures, growth, interrupt, report, sessions, soak, tables
from bench.__main__ import COMMANDS
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


def session_lines(calls: int) -> list[dict[str, Any]]:
    """Lines as ``sessions`` prints them."""
    lines = []
    for name, cpu in (("waav", 0.6), ("picows", 0.4), ("rig", 0.0)):
        lines.append({
            "what": "sessions", "target": name, "calls": calls, "cpu_percent_per_call": cpu,
            "calls_per_core": 200, "us_per_frame": 30.0, "user_share": 0.5, "rss_mb_per_call": 0.2,
            "audio_up": {"p50_ms": 0.1 + cpu, "p99_ms": 1 + cpu, "sent": 9, "received": 9,
                         "doubled": 0, "reordered": 0},
            "speech_down": {"p50_ms": 0.2, "p99_ms": 2.0}, "date": "2026-11-25T00:00:00+00:00",
            "machine": {"cpu": "a <fast> one", "cores": 2, "system": "Debian", "kernel": "6"},
            "versions": {"python": "3.11.7"}, "command": "python -m bench sessions",
        })  # fmt: skip
    return [*lines, {"what": "sessions summary"} | sessions.summarised(lines)]


class PageTests(SynchronousTestCase):
    """The tables and the picture of the manual."""

    def test_every_table_without_results(self) -> None:
        """Before anything is measured each table says so, or is empty, and does not fail."""
        for name, made in tables.TABLES.items():
            text = "\n".join(made({}))
            self.assertIn("|" if name != "made" else "Nothing", text, name)
        self.assertIn(tables.NOT_MEASURED, "\n".join(tables.required({})))

    def test_what_is_measured(self) -> None:
        """Ratios, what the gateway adds to a delay, and losses of all runs stand in the first table."""
        text = "\n".join(tables.required({"calls-20": session_lines(20)}))
        self.assertIn("20 calls | 2.0 x | 1.6 x | 1.5 x", text)
        self.assertIn("0.6 / 0.6 ms", text)
        self.assertIn("| 0 of 9 |", text)

    def test_only_between_the_markers(self) -> None:
        """The words of a page stay as they are, and filling it again changes nothing."""
        page = "a\n<!-- figures short -->\nold\n<!-- end of figures -->\nz\n"
        results = {"calls-20": session_lines(20), "calls-80": session_lines(80)}
        once = tables.filled(page, results)
        self.assertTrue(once.startswith("a\n<!-- figures short -->\n\n| "), once)
        self.assertTrue(once.endswith("<!-- end of figures -->\nz\n"), once)
        self.assertNotIn("old", once)
        self.assertEqual(tables.filled(once, results), once)

    def test_the_manual_shows_what_was_measured(self) -> None:
        """The tables of the manual and of the README are those of the results that lie beside them."""
        for page in report.PAGES:
            self.assertEqual(tables.filled(page.read_text(), report.results()), page.read_text())

    def test_every_part_is_a_command(self) -> None:
        """What the report runs, and what the manual and the README tell to type, is understood."""
        typed = list(report.PARTS.values())
        for page in report.PAGES:
            found = re.findall(r"python -m bench ([a-z][^`\n]*)", page.read_text())
            typed += [text.split() for text in found]
        for command in typed:
            parser = argparse.ArgumentParser()
            importlib.import_module(f"bench.{command[0].replace('-', '_')}").arguments(parser)
            parser.parse_args(command[1:])
            self.assertIn(command[0], COMMANDS)

    def test_picture(self) -> None:
        """The picture is well-formed XML with a line for each target, whatever the machine is called."""
        found = {
            "targets": {"waav": [[1, 0.6, 100.0], [20, 9.0, 104.0]], "picows": [[1, 0.5, 30.0]]},
            "machine": session_lines(1)[0]["machine"], "versions": {"python": "3.11.7"},
            "date": "2026-11-25T00:00:00+00:00", "command": "python -m bench growth",
        }  # fmt: skip
        root = ElementTree.fromstring(growth.picture(found))
        lines = root.findall("{http://www.w3.org/2000/svg}polyline")
        self.assertEqual(len(lines), 4)
        texts = [one.text or "" for one in root.iter("{http://www.w3.org/2000/svg}text")]
        self.assertIn("waav", texts)
        self.assertTrue(any("<fast>" in text and "2026-11-25" in text for text in texts), texts)
        self.assertIn("python -m bench growth", texts)

    def test_grid(self) -> None:
        """Grid lines are round numbers, and the highest point is below the last."""
        self.assertEqual(chart.ticks(9.1), [0, 2, 4, 6, 8, 10])
        self.assertEqual(chart.ticks(160)[-1] >= 160, True)
        self.assertEqual(chart.ticks(0), [0])


class InterruptTests(SynchronousTestCase):
    """The three times of an interruption."""

    def test_times(self) -> None:
        """From the clear to the last frame, to the answer, and from the decision to the last frame."""
        row = interrupt.rows([(1, 2, 1_000_000, 5_000_000, 6_000_000)], {(1, 2): 4_000_000})
        self.assertEqual(row["last_frame"]["max_ms"], 4.0)
        self.assertEqual(row["answer"]["max_ms"], 5.0)
        self.assertEqual(row["after_decision"]["max_ms"], 1.0)

    def test_silence_before_the_clear(self) -> None:
        """Where the last frame came before the clear was sent, nothing came after it; no vendor, no decision."""
        row = interrupt.rows([(1, 2, 5_000_000, 1_000_000, 6_000_000)], {})
        self.assertEqual(row["last_frame"]["max_ms"], 0.0)
        self.assertEqual(row["after_decision"], {"count": 0})


class SoakTests(SynchronousTestCase):
    """Memory over hours."""

    def test_trend(self) -> None:
        """Growth before the warm-up is over does not count; the worst lag does."""
        samples = [
            {"at_s": float(second), "rss_mb": 100 + max(0, 60 - second) + second / 3600,
             "lag_ms": 3.0 if second == 120 else None, "speech": {"p99_ms": 1.0}}
            for second in range(0, 600, 5)
        ]  # fmt: skip
        found = soak.trend(samples, 60.0)
        self.assertApproximates(found["rss_mb_per_h"], 1.0, 0.01)
        self.assertEqual(found["lag_max_ms"], 3.0)


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
