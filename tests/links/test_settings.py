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
        low, high = LinkSettings(preset="low_latency"), LinkSettings(preset="high_throughput")
        self.assertEqual((low.requests, low.connect_s, low.request_s), (20, 0.25, 15.0))
        self.assertEqual((high.requests, high.connect_s, high.request_s), (50, 1.0, 60.0))

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
