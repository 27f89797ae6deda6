"""Presets of the HTTP numbers."""

from dataclasses import fields

from twisted.trial.unittest import SynchronousTestCase

from waav.links.settings import PRESETS, LinkSettings


class PresetTests(SynchronousTestCase):
    def test_the_numbers(self) -> None:
        """Each preset sets what the manual says, down to the last number. (F-269)"""
        for name, numbers in PRESETS.items():
            settings = LinkSettings(preset=name)
            self.assertEqual({one: getattr(settings, one) for one in numbers}, numbers)
        names = [
            "requests",
            "connections",
            "connect_s",
            "first_byte_s",
            "request_s",
            "tcp_keepalive_s",
            "backoff_s",
            "backoff_most_s",
        ]
        for preset, expected in (
            ("default", (256, 64, 5.0, 10.0, 60.0, 5.0, 0.2, 3.2)),
            ("low_latency", (20, 1024, 0.25, 2.0, 15.0, 3.0, 0.05, 0.3)),
            ("high_throughput", (50, 256, 1.0, 5.0, 60.0, 10.0, 0.2, 1.0)),
        ):
            self.assertEqual(PRESETS[preset], dict(zip(names, expected, strict=True)))

    def test_limits_of_time(self) -> None:
        """Nobody waits longer than 10 s for a connection, 5 s for its TCP part, 10 s for a byte, 60 s for an answer. (S-TTS-52)"""
        settings = LinkSettings()
        self.assertEqual((settings.dial_s, settings.connect_s), (10.0, 5.0))
        self.assertEqual((settings.first_byte_s, settings.idle_s), (10.0, 10.0))
        self.assertEqual(settings.request_s, 60.0)

    def test_what_is_set_wins(self) -> None:
        """An operator's own number stands, whatever the preset. (F-269)"""
        settings = LinkSettings(preset="low_latency", requests=7, request_s=99.0)
        self.assertEqual((settings.requests, settings.request_s), (7, 99.0))
        self.assertEqual(settings.connections, 1024)

    def test_every_preset_is_complete(self) -> None:
        """No number is left open, and the manual names all three for each."""
        for name in PRESETS:
            self.assertNotIn(
                None, [getattr(LinkSettings(preset=name), one.name) for one in fields(LinkSettings)]
            )
        for one in fields(LinkSettings):
            if one.name in PRESETS["default"]:
                for preset, numbers in PRESETS.items():
                    self.assertIn(f"{preset} {numbers[one.name]:g}", one.metadata["doc"])
