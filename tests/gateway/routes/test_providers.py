"""``GET /providers``."""

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.gateway import Gateway, vendor
from waav.gateway.settings import SpeechDefaults


class ProvidersTests(SynchronousTestCase):
    """The route, with vendors that only speak."""

    def test_who_can_do_what(self) -> None:
        """A client learns who can speak, who needs a key of its own, whom the gateway prefers, and default models."""
        gateway = Gateway(
            providers=(vendor("acme", models={"speak": "acme-2"}), vendor("brook")),
            without_key=("brook",),
            defaults=SpeechDefaults(tts_provider="acme"),
        )
        gateway.world.optional_models["noise_filter"] = "off: audio is not filtered"
        answer = gateway.client().request("GET", "/providers")
        self.assertEqual(answer.status, 200)
        self.assertEqual(
            json.loads(answer.body),
            {
                "stt": [],
                "tts": [
                    {
                        "name": "acme",
                        "title": "Acme",
                        "aliases": [],
                        "configured": True,
                        "model": "acme-2",
                    },
                    {
                        "name": "brook",
                        "title": "Brook",
                        "aliases": [],
                        "configured": False,
                        "model": "",
                    },
                ],
                "defaults": {"stt": "local", "tts": "acme"},
                "models": {"noise_filter": "off: audio is not filtered"},
            },
        )
