"""The files that people read and start from: sample, manual, environment."""

import re
from pathlib import Path

import yaml
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from waav.config.layers import unknown_variables
from waav.config.load import load
from waav.config.options import options
from waav.config.text import manual, sample
from waav.gateway.admission.limiter import Limiter
from waav.registry import Registry

ROOT = Path(__file__).parents[2]
ETC = ROOT / "etc"
REGISTRY = Registry.discover()


class SampleTests(SynchronousTestCase):
    def test_it_is_what_the_declarations_say(self) -> None:
        """etc/waav.yaml is what "waav config sample" writes, so it cannot rot (F-027)."""
        self.assertEqual(
            (ETC / "waav.yaml").read_text(), sample(REGISTRY), "run: waav config sample"
        )

    def test_loading_it_changes_nothing(self) -> None:
        """Loading the sample gives the defaults, with no key unknown (F-027, F-028)."""
        loaded = load(REGISTRY, ETC / "waav.yaml")
        plain = load(REGISTRY)
        self.assertEqual(loaded.values, plain.values)
        self.assertEqual(loaded.config, plain.config)

    def test_it_stands_in_the_way_of_nothing(self) -> None:
        """With the sample as it is, the environment still says what is to be: nothing in it is set."""
        environ = {"PORT": "4001", "CORS_ALLOWED_ORIGINS": "https://a.test", "OPENAI_API_KEY": "k"}
        loaded = load(REGISTRY, ETC / "waav.yaml", environ=environ)
        self.assertEqual(loaded.config.server.port, 4001)
        self.assertEqual(loaded.values, load(REGISTRY, environ=environ).values)
        self.assertEqual(loaded.notices, load(REGISTRY, environ=environ).notices)

    def test_taking_the_marks_away(self) -> None:
        """Without the mark in front of each value it is YAML that says what the defaults are."""
        loaded = load(REGISTRY, self.unmarked())
        self.assertEqual(loaded.values, load(REGISTRY).values)

    def unmarked(self) -> Path:
        """The sample as a file in which everything counts."""
        path = Path(self.mktemp())
        text = (ETC / "waav.yaml").read_text()
        path.write_text(re.sub(r"^( *)# ([\w.]+:)", r"\1\2", text, flags=re.MULTILINE))
        return path

    def test_every_option_is_in_it(self) -> None:
        """Every option stands in the sample with its variable and its unit (F-001, F-002, F-027)."""
        text = (ETC / "waav.yaml").read_text()
        tree = yaml.safe_load(self.unmarked().read_text())
        for path, option in options(REGISTRY).items():
            node = tree
            for key in path.split("."):
                self.assertIn(key, node, path)
                node = node[key]
            self.assertRegex(text, rf"\b{option.env}\]")
            if option.unit:
                self.assertIn(f"{option.unit}, {option.env}]", text)


class ManualTests(SynchronousTestCase):
    def test_it_is_what_the_declarations_say(self) -> None:
        """docs/configuration.md is what "waav config manual" writes."""
        text = (ROOT / "docs" / "configuration.md").read_text()
        self.assertEqual(text, manual(REGISTRY), "run: waav config manual")

    def test_both_state_the_same_order(self) -> None:
        """Sample and manual tell the one order of sources: YAML, environment, .env, default (CFG-01)."""
        for text in (sample(REGISTRY), manual(REGISTRY)):
            order = re.search(
                r"file.*?process environment.*?\.env.*?default.*?precedence env.*?environment (first|comes before)",
                text,
                re.DOTALL,
            )
            self.assertTrue(order)

    def test_the_limiter_rule_is_documented(self) -> None:
        """That 100000 requests per second switch the limiter off is written in the manual (CFG-11)."""
        self.assertIn("limiter is off from 100000 requests per second", manual(REGISTRY))


class EnvironmentFileTests(SynchronousTestCase):
    def test_every_variable_is_recognised(self) -> None:
        """Each variable of the sample .env sets an option, and each is a placeholder or the default (F-029)."""
        names = re.findall(r"^([A-Z_]+)=", (ETC / "env.sample").read_text(), re.MULTILINE)
        known = {option.env for option in options(REGISTRY).values()}
        self.assertGreater(len(names), 10)
        self.assertEqual(set(names) - known, set())
        loaded = load(REGISTRY, dotenv=ETC / "env.sample")
        self.assertEqual(loaded.values, load(REGISTRY).values)

    def test_variables_with_our_prefix_are_looked_at(self) -> None:
        """Variables that other commands read are no mistake."""
        self.assertEqual(list(unknown_variables({"WAAV_URL": "x"}, options(REGISTRY))), [])


class PerformanceFileTests(SynchronousTestCase):
    def test_no_rate_limit(self) -> None:
        """With the no-limit file 10000 quick requests are all accepted: the limits are those of its text (F-031, CFG-10)."""
        security = load(REGISTRY, ETC / "perf_no_ratelimit.yaml").config.security
        self.assertEqual(security.rate_limit_requests_per_second, 100000)
        self.assertEqual(security.max_connections_per_ip, 10000)
        limiter = Limiter(
            Clock(), security.rate_limit_requests_per_second, security.rate_limit_burst_size
        )
        self.assertEqual({limiter.take("10.0.0.1") for _ in range(10000)}, {0.0})
