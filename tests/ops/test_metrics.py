"""Figures for Prometheus: what they say, and that the manual and the alerts know them all."""

import gc
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from waav.cache.store import StoreFigures
from waav.gateway.admission.connection_figures import ConnectionFigures
from waav.links.engines.engines import EngineFigures
from waav.links.http.traffic import TrafficFigures
from waav.ops import sources
from waav.ops.lag import LoopLag
from waav.ops.metrics import Metrics, exposition, process_gone
from waav.ops.settings import DiagnosticsSettings
from waav.ops.stalls import Stalls

ROOT = Path(__file__).parents[2]


def samples(text: bytes) -> dict[str, float]:
    """Value of every series, by name and labels as they stand in the text."""
    found = {}
    for line in text.decode().splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


class Everything:
    """Metrics and all they look at, played by a test."""

    def __init__(self, proc: Path = Path("/proc/self")) -> None:
        self.metrics = Metrics()
        self.connections = ConnectionFigures()
        self.store = SimpleNamespace(figures=StoreFigures())
        self.dialler = SimpleNamespace(figures=dict[str, TrafficFigures]())
        self.engines = SimpleNamespace(waiting=0, loaded=0, figures=EngineFigures())
        self.clock = Clock()
        self.lag = LoopLag(self.clock)
        self.stalls = Stalls(self.lag, DiagnosticsSettings())
        others: Any = (self.store, self.dialler, self.engines)
        for source in (
            sources.connections(self.metrics, self.connections),
            sources.cache(self.metrics, others[0]),
            sources.vendors(self.metrics, others[1]),
            sources.models(self.metrics, others[2]),
            sources.loop(self.metrics, self.lag, self.stalls),
            sources.collections(self.metrics),
            sources.process(self.metrics, proc),
        ):
            self.metrics.follow(source)

    def read(self) -> dict[str, float]:
        """What a scrape would say now."""
        self.metrics.refresh()
        return samples(exposition(self.metrics.families.registry))


class MetricsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.all = Everything()

    def said(self, prefix: str) -> dict[str, float]:
        """The series that begin like that and are not zero."""
        return {
            name.removeprefix(f"waav_{prefix}"): value
            for name, value in self.all.read().items()
            if name.startswith(f"waav_{prefix}") and value
        }

    def test_calls(self) -> None:
        """What calls write down is counted by provider."""
        calls = self.all.metrics.calls
        calls.configured("acme", "nobody")
        calls.ended(42.0)
        calls.count("acme", "results", 3)
        calls.count("acme", "results", 2)
        calls.count("acme", "forced_hard_timeout_fallback", 1)
        calls.count("acme", "unfiltered_ms", 1500)
        calls.count("acme", "heard_s", 2.5)
        calls.count("acme", "errors", 7)  # written down by kind
        calls.error("acme", "stt", "provider_busy")
        self.assertEqual(self.said("calls_"), {'configured_total{stt="acme",tts="nobody"}': 1})
        self.assertEqual(
            self.said("stt_"),
            {
                'results_total{provider="acme"}': 5,
                'forced_finals_total{method="hard_timeout_fallback",provider="acme"}': 1,
                'unfiltered_seconds_total{provider="acme"}': 1.5,
                'audio_seconds_total{provider="acme"}': 2.5,
                'errors_total{kind="provider_busy",provider="acme"}': 1,
            },
        )
        self.assertEqual(self.said("call_duration_seconds_sum"), {"": 42.0})

    def test_latencies(self) -> None:
        """Times to the first text and the first audio are histograms."""
        calls = self.all.metrics.calls
        calls.took("acme", "first_audio", 0.15)
        calls.took("acme", "first_audio", 0.4)
        calls.took("acme", "first_result", 2.5)
        self.assertEqual(
            self.said("tts_first_audio_seconds_bucket")['{le="0.2",provider="acme"}'], 1
        )
        self.assertEqual(
            self.said("tts_first_audio_seconds_sum"), {'{provider="acme"}': 0.15 + 0.4}
        )
        self.assertEqual(self.said("stt_first_result_seconds_count"), {'{provider="acme"}': 1})

    def test_connections(self) -> None:
        """Open ones are those that opened and did not close, by route."""
        figures = self.all.connections
        figures.opened.update({"ws": 5, "speak": 2})
        figures.closed.update({("ws", "idle"): 1, ("ws", "lost"): 2, ("speak", "caller"): 2})
        figures.refused["rate"] += 4
        figures.answered[404] += 1
        self.assertEqual(
            self.said("connections_"),
            {
                'open{route="ws"}': 2,
                'opened_total{route="ws"}': 5,
                'opened_total{route="speak"}': 2,
                'closed_total{reason="idle",route="ws"}': 1,
                'closed_total{reason="lost",route="ws"}': 2,
                'closed_total{reason="caller",route="speak"}': 2,
            },
        )
        self.assertEqual(self.said("refused_total"), {'{limit="rate"}': 4})
        self.assertEqual(self.said("requests_total"), {'{status="404"}': 1})

    def test_series_that_are_known_are_there_from_the_start(self) -> None:
        """The first refusal is seen as a change, because the series was there at zero."""
        self.assertEqual(self.all.read()['waav_refused_total{limit="total"}'], 0)

    def test_looking_again_counts_nothing_twice(self) -> None:
        """A second scrape says the same, and a third what came in between."""
        self.all.connections.opened["ws"] = 5
        for _ in range(3):
            self.assertEqual(self.said("connections_opened_total"), {'{route="ws"}': 5})
        self.all.connections.opened["ws"] = 7
        self.assertEqual(self.said("connections_opened_total"), {'{route="ws"}': 7})

    def test_cache(self) -> None:
        """The figures of the cache."""
        self.all.store.figures = StoreFigures(6, 5, 4, 3, 2, 1, 1000, 9)
        self.assertEqual(
            self.said("cache_"),
            {
                "hits_total": 6,
                "misses_total": 5,
                "sets_total": 4,
                "deletes_total": 3,
                "evictions_total": 2,
                "failures_total": 1,
                "bytes": 1000,
                "entries": 9,
            },
        )

    def test_vendors(self) -> None:
        """HTTP figures by host; a host whose figures were forgotten and begin anew goes on adding up."""
        self.all.dialler.figures["https://a:443"] = TrafficFigures(10, 7, 2, 1, 3, 4.5, 5, 6, 8, 9)
        self.assertEqual(
            self.said("http_"),
            {
                'succeeded_total{origin="https://a:443"}': 7,
                'connections_reused_total{origin="https://a:443"}': 6,
                'connections_idle{origin="https://a:443"}': 8,
                'waiting{origin="https://a:443"}': 9,
                'request_seconds_sum{origin="https://a:443"}': 4.5,
                'requests_total{origin="https://a:443"}': 10,
                'failed_total{origin="https://a:443"}': 2,
                'retries_total{origin="https://a:443"}': 1,
                'in_flight{origin="https://a:443"}': 3,
                'seconds_total{origin="https://a:443"}': 4.5,
                'connections_opened_total{origin="https://a:443"}': 5,
            },
        )
        self.all.dialler.figures["https://a:443"] = TrafficFigures(2)
        self.assertEqual(self.said("http_requests_total"), {'{origin="https://a:443"}': 12})

    def test_vendors_by_time(self) -> None:
        """What requests took is a histogram; a second scrape adds what came in between, nothing twice. (F-269, S-REQ-04)"""
        figures = self.all.dialler.figures["https://a:443"] = TrafficFigures()
        figures.ended(0.15)
        figures.answered(0.07)
        self.all.read()
        figures.ended(100.0)
        for _ in range(2):
            said = self.said("http_request_seconds_")
        label = 'origin="https://a:443"}'
        self.assertEqual(
            [said.get(f'bucket{{le="{le}",{label}', 0) for le in ("0.1", "0.2", "60.0", "+Inf")],
            [0, 1, 1, 2],
        )
        self.assertEqual((said[f"count{{{label}"], said[f"sum{{{label}"]), (2, 100.15))
        self.assertEqual(self.said("http_first_byte_seconds_")[f'bucket{{le="0.1",{label}'], 1)
        figures = self.all.dialler.figures["https://a:443"] = TrafficFigures()
        figures.ended(0.15)
        self.assertEqual(self.said("http_request_seconds_")[f"count{{{label}"], 3)

    def test_vendors_that_are_forgotten(self) -> None:
        """A host that is not remembered any more has nothing in flight."""
        self.all.dialler.figures["https://a:443"] = TrafficFigures(in_flight=1)
        self.all.read()
        del self.all.dialler.figures["https://a:443"]
        self.assertEqual(self.said("http_in_flight"), {})

    def test_models(self) -> None:
        """What models in the process do and have to do."""
        self.all.engines.waiting, self.all.engines.loaded = 3, 2
        self.all.engines.figures = EngineFigures(10, 1.5, 4)
        self.assertEqual(
            self.said("models_"),
            {
                "waiting": 3,
                "loaded": 2,
                "jobs_total": 10,
                "seconds_total": 1.5,
                "refused_total": 4,
            },
        )

    def test_collections(self) -> None:
        """How often garbage was collected, and how much there was."""
        gc.collect()
        said = self.said("gc_")
        full = gc.get_stats()[2]
        self.assertEqual(said['collections_total{generation="2"}'], full["collections"])
        self.assertEqual(said['objects_total{generation="2"}'], full["collected"])

    def test_loop(self) -> None:
        """The loop's lag as a histogram, its worst, and how often something blocked it."""
        self.all.lag.startService()
        self.all.clock.advance(0)
        self.all.clock.advance(0.05 + 0.07)
        self.all.stalls.total = 2
        said = self.said("loop_")
        self.assertEqual(said["lag_seconds_count"], 1)
        self.assertEqual(said['lag_seconds_bucket{le="0.1"}'], 1)
        self.assertNotIn('lag_seconds_bucket{le="0.05"}', said)
        self.assertAlmostEqual(said["lag_max_seconds"], 0.07)
        self.assertAlmostEqual(said["lag_max_minute_seconds"], 0.07)
        self.assertEqual(said["stalls_total"], 2)
        self.all.clock.advance(0)
        self.all.clock.pump([0.05] * 2400)
        self.assertLess(self.all.read()["waav_loop_lag_max_minute_seconds"], 0.07)

    def test_process(self) -> None:
        """Memory, processor, descriptors of the process, and what runs."""
        said = self.said("process_")
        self.assertGreater(said["resident_memory_bytes"], 10_000_000)
        self.assertGreater(said["cpu_seconds_total"], 0)
        self.assertTrue(3 <= said["open_fds"] <= said["max_fds"])
        self.assertEqual(said["workers"], 1)
        ((labels, one),) = self.said("build_info").items()
        self.assertIn('version="', labels)
        self.assertEqual(one, 1)

    def test_without_proc(self) -> None:
        """Where there is no /proc, or no descriptor left to read it with, the rest is there."""
        said = Everything(Path("/nowhere")).read()
        self.assertEqual(said["waav_process_open_fds"], 0)
        self.assertGreater(said["waav_process_cpu_seconds_total"], 0)

    def test_it_is_the_format_of_prometheus(self) -> None:
        """Prometheus's own parser reads it, and no series is there twice."""
        self.all.metrics.calls.error('a"b\\c\n', "tts", "x")
        self.all.metrics.refresh()
        text = exposition(self.all.metrics.families.registry).decode()
        families = list(text_string_to_metric_families(text))
        self.assertGreater(len(families), 40)
        lines = Counter(line.rpartition(" ")[0] for line in text.splitlines() if line[0] != "#")
        self.assertEqual([line for line, times in lines.items() if times > 1], [])
        self.assertNotIn("_created", text)

    def test_several_gateways_in_one_process(self) -> None:
        """Two gateways of one process count for themselves."""
        other = Everything()
        other.metrics.calls.count("acme", "results", 1)
        self.assertEqual(self.said("stt_"), {})


class LabelTests(SynchronousTestCase):
    ALLOWED = {
        "route", "reason", "limit", "status", "origin", "provider", "kind", "method", "stt", "tts",
        "generation", "version", "python", "twisted",
    }  # fmt: skip
    """Names that the gateway itself knows; a new label is a decision (S-MET-02)."""

    def test_no_label_is_of_a_caller(self) -> None:
        """No label could hold a text, a stream id, a number or a key."""
        for family in Everything().metrics.families.made:
            self.assertLessEqual(set(family.labels), self.ALLOWED, family.name)


class ManualTests(SynchronousTestCase):
    def test_every_metric_is_in_the_manual(self) -> None:
        """docs/metrics.md names every metric with its type and labels, and no other."""
        text = (ROOT / "docs" / "metrics.md").read_text()
        rows = re.findall(r"^\| `(waav_\w+)` \| (\w+) \| (.*?) ?\| (.+) \|$", text, re.MULTILINE)
        written = {
            (name, kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in rows
        }
        made = {(one.name, one.kind, one.labels) for one in Everything().metrics.families.made}
        self.assertEqual(written, made)

    def test_units(self) -> None:
        """Every metric of seconds or bytes says so in words too."""
        text = (ROOT / "docs" / "metrics.md").read_text()
        for family in Everything().metrics.families.made:
            (meaning,) = re.findall(rf"^\| `{family.name}` .*\| (.+) \|$", text, re.MULTILINE)
            for unit in ("seconds", "bytes"):
                if f"_{unit}" in family.name:
                    self.assertIn(unit, meaning.lower(), family.name)

    def test_every_counter_ends_in_total(self) -> None:
        """Names follow the habits of Prometheus."""
        for family in Everything().metrics.families.made:
            self.assertEqual(family.kind == "counter", family.name.endswith("_total"), family.name)
            if family.kind == "histogram":
                self.assertTrue(family.name.endswith("_seconds"), family.name)

    def test_alerts_know_what_they_watch(self) -> None:
        """The alert rules name only metrics that there are, with labels that they have."""
        made = {one.name: one for one in Everything().metrics.families.made}
        text = (ROOT / "etc" / "alerts.yaml").read_text()
        rules = yaml.safe_load(text)["groups"][0]["rules"]
        self.assertGreater(len(rules), 5)
        for rule in rules:
            names = re.findall(r"\bwaav_\w+", rule["expr"])
            for name in names:
                base = re.sub(r"_(bucket|sum|count)$", "", name)
                self.assertIn(base, made, rule["alert"])
            known = {"le", "job"} | {
                label
                for name in names
                for label in made[re.sub(r"_(bucket|sum|count)$", "", name)].labels
            }
            grouped = re.findall(r"\bby \(([^)]*)\)", rule["expr"])
            used = {label.strip() for labels in grouped for label in labels.split(",")}
            used |= set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
            self.assertLessEqual(used, known, rule["alert"])


WORKER = """
import sys
from tests.ops.test_metrics import Everything
from waav.ops.metrics import keep_as
number = int(sys.argv[1])
if len(sys.argv) > 2:
    keep_as(int(sys.argv[2]))
all = Everything()
all.metrics.calls.count("acme", "results", number)
all.metrics.calls.took("acme", "first_audio", 0.15 * number)
all.connections.opened["ws"] = number
all.lag.figures.max_s = number / 10
all.metrics.beat(0.03, 0.0)
all.metrics.refresh()
all.metrics.refresh()
import os
print(os.getpid())
"""


class WorkerTests(SynchronousTestCase):
    """Several processes, as workers are."""

    def work(self, folder: Path, number: int, *place: int) -> int:
        """A process that counts, with that number; returns its process id after its end."""
        done = subprocess.run(
            [sys.executable, "-c", WORKER, str(number), *map(str, place)],
            env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return int(done.stdout)

    def test_one_takes_the_place_of_another(self) -> None:
        """A worker that is started again goes on counting where the last one stopped, in the same files."""
        folder = Path(self.mktemp())
        folder.mkdir()
        files = set()
        for _ in range(3):
            self.work(folder, 2, 0)
            files.add(frozenset(path.name for path in folder.iterdir()))
            said = samples(exposition(CollectorRegistry(), str(folder)))
            self.assertEqual(said['waav_connections_open{route="ws"}'], 2)
            process_gone(0, str(folder))
        self.assertEqual(len(files), 1)
        said = samples(exposition(CollectorRegistry(), str(folder)))
        self.assertEqual(said['waav_stt_results_total{provider="acme"}'], 6)
        self.assertEqual(said["waav_loop_lag_seconds_count"], 3)
        self.assertEqual(said['waav_connections_opened_total{route="ws"}'], 6)
        self.assertNotIn('waav_connections_open{route="ws"}', said)

    def test_they_add_up(self) -> None:
        """Counters and histograms are sums, and stay when a worker ends; what it had open goes, the worst lag is the
        worst of those that live."""
        folder = Path(self.mktemp())
        folder.mkdir()
        self.work(folder, 1)
        second = self.work(folder, 2)
        said = samples(exposition(CollectorRegistry(), str(folder)))
        expected = {
            'waav_stt_results_total{provider="acme"}': 3,
            'waav_tts_first_audio_seconds_count{provider="acme"}': 2,
            'waav_tts_first_audio_seconds_bucket{le="0.2",provider="acme"}': 1,
            "waav_loop_lag_seconds_count": 2,
            'waav_connections_open{route="ws"}': 3,
            "waav_loop_lag_max_seconds": 0.2,
            "waav_process_workers": 2,
        }
        self.assertEqual({name: said[name] for name in expected}, expected)
        process_gone(second, str(folder))
        said = samples(exposition(CollectorRegistry(), str(folder)))
        expected |= {
            'waav_connections_open{route="ws"}': 1,
            "waav_loop_lag_max_seconds": 0.1,
            "waav_process_workers": 1,
        }
        self.assertEqual({name: said[name] for name in expected}, expected)
