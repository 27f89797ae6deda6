"""Errors the gateway raises on purpose."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from waav import errors


def every_kind(kind: type[errors.WaavError] = errors.WaavError) -> list[type[errors.WaavError]]:
    """The kinds that ``waav.errors`` declares, whatever other rooms have made of them by now."""
    kinds = [one for one in vars(errors).values() if isinstance(one, type)]
    return [one for one in kinds if issubclass(one, kind)]


class ErrorTests(SynchronousTestCase):
    """What callers can rely on."""

    def test_codes(self) -> None:
        """Programs can tell the gateway's errors apart by their codes, and each has an HTTP error status (F-125)."""
        # Several of a kind are of that kind.
        kinds = [kind for kind in every_kind() if kind is not errors.SeveralConfigErrors]
        codes = {kind.code for kind in kinds if kind is not errors.WaavError}
        self.assertEqual(len(codes), len(kinds) - 1)
        for kind in kinds:
            self.assertTrue(400 <= kind.status <= 599)

    def test_what_may_be_tried_again(self) -> None:
        """Only what can get better by itself is retried; a wrong key never is."""
        retried = {kind.__name__ for kind in every_kind() if kind.retryable}
        self.assertEqual(retried, {"TooMany", "ProviderBusy", "ProviderLost", "ProviderTimeout"})

    def test_vendor_errors_are_not_ours(self) -> None:
        """A vendor's failure shows as a bad gateway naming the vendor, never as a fault of the gateway."""
        for kind in every_kind(errors.ProviderError):
            error: Any = kind("acme", "no")  # type: ignore[call-arg]
            self.assertEqual(error.provider, "acme")
            self.assertIn(error.status, (502, 504))

    def test_messages(self) -> None:
        """An error says its message, and where it has one its path or waiting time."""
        self.assertEqual(str(errors.BadRequest("text: missing")), "text: missing")
        self.assertEqual(errors.TooMany("slow down").retry_after_s, 1.0)
        self.assertEqual(errors.ConfigError("bad", "cache.ttl_s").path, "cache.ttl_s")
        self.assertEqual(errors.ModelMissing("no model").code, "model_missing")


class RefusalTests(SynchronousTestCase):
    """A vendor's HTTP answer becomes an error."""

    def test_classes(self) -> None:
        """Overload and faults are tried again, refusals are not (F-125)."""
        for status in (408, 409, 425, 429, 498, 499, 500, 502, 503, 504, 529):
            self.assertIsInstance(errors.refusal("acme", status), errors.ProviderBusy, status)
        for status in (300, 302, 400, 401, 402, 403, 404, 413, 422):
            self.assertIsInstance(errors.refusal("acme", status), errors.ProviderRefused, status)

    def test_text(self) -> None:
        """It names the vendor and the status, and what the vendor said."""
        error = errors.refusal("acme", 429, "  slow down ", 2.5)
        self.assertEqual(error.message, "acme answered HTTP 429: slow down")
        self.assertEqual((error.retry_after_s, error.upstream_status), (2.5, 429))
        self.assertEqual(errors.refusal("acme", 500).message, "acme answered HTTP 500")

    def test_long_text(self) -> None:
        """A page of vendor text is cut by characters (X-14)."""
        message = errors.refusal("acme", 400, "ü" * 501).message
        self.assertTrue(message.endswith(": " + "ü" * 500 + "... (truncated)"), message)
        self.assertTrue(errors.refusal("acme", 400, "ü" * 500).message.endswith("ü"))
