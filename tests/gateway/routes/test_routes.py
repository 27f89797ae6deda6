"""The routes as a whole: the manual names those that exist, and no others."""

import json
import re
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from tests.gateway.gateway import Gateway
from waav.gateway.routes.api import Api
from waav.gateway.settings import ConsoleSettings

MANUAL = Path(__file__).parents[3] / "docs" / "protocol.md"


class RouteTests(SynchronousTestCase):
    """docs/protocol.md against the code."""

    def setUp(self) -> None:
        self.manual = MANUAL.read_text().partition("## HTTP routes")[2]
        self.written = set(re.findall(r"^\| `([A-Z]+ /[a-z]*)` \|", self.manual, re.MULTILINE))

    def test_all_are_written_down(self) -> None:
        """Whoever reads the manual knows every route, and finds none that is not there."""
        gateway = Gateway(console=ConsoleSettings(enabled=True), metrics=Resource())
        found = {f"GET /{name.decode()}" for name in gateway.site._children}
        for rule in Api.app.url_map.iter_rules():
            found |= {f"{method} {rule.rule}" for method in rule.methods or () if method != "HEAD"}
        self.assertEqual(self.written, found)

    def test_all_answer(self) -> None:
        """Each route in the manual is there, without any credential; the console and metrics can be off."""
        for prefix in ("", "/api"):
            for route in sorted(self.written - {"GET /console", "GET /metrics"}):
                method, path = route.split()
                answer = Gateway().client().request(method, prefix + path)
                self.assertNotIn(answer.status, (401, 403, 404, 405), route)


class ReadyTests(SynchronousTestCase):
    """``GET /ready``."""

    def asked(self, gateway: Gateway) -> tuple[int, Any]:
        answer = gateway.client().request("GET", "/ready")
        return answer.status, json.loads(answer.body)

    def test_it_waits_for_the_models(self) -> None:
        """A load balancer sends calls when they need not wait, and no more when the gateway stops; it is up all the while."""
        gateway = Gateway()
        gateway.world.unready_models["moonshine"] = "loading"
        loading = {"status": "loading", "models": {"moonshine": "loading"}}
        self.assertEqual(self.asked(gateway), (503, loading))
        self.assertEqual(gateway.client().request("GET", "/").status, 200)
        gateway.world.unready_models.clear()
        self.assertEqual(self.asked(gateway), (200, {"status": "ready"}))
        self.successResultOf(gateway.calls.stop(0.0))
        self.assertEqual(self.asked(gateway), (503, {"status": "stopping"}))
