"""Settings of the vendors. A vendor that is added is asked for here without another line."""

import json
from typing import Any

from tests.service.settings.rig import Running, SettingsCase
from waav.config.load import ConfigProblems
from waav.config.options import of_provider
from waav.speech.provider import Provider

SIGNS: frozenset[str] = frozenset()
"""Credentials that no request shows because something is signed with them; their vendors' own tests check that."""


class EveryVendorTests(SettingsCase):
    """Each provider there is, asked for all that it can do."""

    def setUp(self) -> None:
        super().setUp()
        self.vendor.holds = True

    def gateway(self, provider: Provider) -> Running:
        """One that has everything that can be said of this provider, and leads it to ``vendor``."""
        values = {
            option.path.rpartition(".")[2]: f"value-of-{option.path.replace('.', '-')}"
            for option in of_provider(provider)
            if option.credential is not None
        }
        given = json.dumps({provider.name: {**values, "endpoint": self.vendor.endpoint}})
        return self.start(f"providers: {given}")

    async def asked(self, provider: Provider) -> str:
        """All that a call shows the vendor: its first request."""
        gateway = self.gateway(provider)
        self.vendor.asked.clear()
        self.vendor.bodies.clear()
        client = await gateway.connect()
        config: dict[str, Any] = {"type": "config"}
        if provider.listen is not None:
            config["stt_config"] = {
                "provider": provider.name,
                "encoding": "linear16",
                "sample_rate": 16000,
                "channels": 1,
            }
        if provider.speak is not None:
            config["tts_config"] = {"provider": provider.name}
        client.say(config)
        if provider.listen is not None:
            client.say(bytes(64000))
        if provider.speak is not None:
            client.say({"type": "speak", "text": "hello"})
        else:
            client.say({"type": "config", "audio": False})
        await gateway.until(lambda: self.vendor.asked, f"{provider.name} asks nobody")
        request = self.vendor.asked[0]
        headers = list(request.requestHeaders.getAllRawHeaders())
        await gateway.stop()
        return f"{request.uri} {headers} {self.vendor.bodies[0]!r}"

    async def test_endpoint(self) -> None:
        """providers.<name>.endpoint: requests go there; a provider that makes none says so at the start."""
        for provider in self.registry.providers:
            try:
                await self.asked(provider)
            except ConfigProblems as error:
                self.assertIn(f"providers.{provider.name}.endpoint: ", str(error))

    async def test_credentials(self) -> None:
        """providers.<name>.api_key and the like: the vendor is shown what is configured."""
        for provider in self.registry.providers:
            if not provider.credentials:
                continue
            shown = await self.asked(provider)
            for credential in provider.credentials:
                path = f"providers.{provider.name}.{credential.name}"
                if path not in SIGNS:
                    self.assertIn(f"value-of-{path.replace('.', '-')}", shown)

    def test_options(self) -> None:
        """providers.<name>.options: one that the vendor does not have stops the start and is named."""
        for provider in self.registry.providers:
            text = f"providers: {{{provider.name}: {{options: {{no_such_option: 1}}}}}}"
            error = self.assertRaises(ConfigProblems, self.start, text)
            self.assertIn(f"providers.{provider.name}.options", str(error))
            self.assertIn("no_such_option", str(error))


class OptionTests(SettingsCase):
    """What the operator chose of a vendor's options holds for every call."""

    async def query(self, **config: Any) -> dict[str, str]:
        """What a recogniser is asked for."""
        gateway = self.start(
            "providers: {deepgram: {api_key: k, options: {numerals: true},"
            f" endpoint: '{self.vendor.endpoint}'}}}}"
        )
        client = await gateway.connect()
        stt = {
            "provider": "deepgram",
            "encoding": "linear16",
            "sample_rate": 16000,
            "channels": 1,
            **config,
        }
        client.say({"type": "config", "stt_config": stt})
        await gateway.until(lambda: self.vendor.asked)
        return self.vendor.query()

    async def test_in_a_call(self) -> None:
        """providers.<name>.options: the vendor is asked for them."""
        self.assertEqual((await self.query())["numerals"], "true")

    async def test_with_a_callers_key(self) -> None:
        """They, and the endpoint, hold for callers with keys of their own as well."""
        self.assertEqual((await self.query(api_key="mine"))["numerals"], "true")
        shown = self.vendor.asked[-1].getHeader("authorization")
        self.assertEqual(shown, "Token mine")
