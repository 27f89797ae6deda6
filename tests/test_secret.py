"""Keys never show."""

import copy
import json
import pickle
import traceback
from secrets import token_hex

from twisted.logger import formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from waav.secret import Secret
from waav.speech.provider import Account

KEY = "sk-very-secret-4711"


class SecretTests(SynchronousTestCase):
    """Wherever a secret is printed."""

    def test_printing(self) -> None:
        """No way of printing a key, or an account that holds it, shows it (CFG-09)."""
        secret = Secret(KEY)
        account = Account(key=secret, credentials={"user_id": Secret(KEY)})
        for text in (
            str(secret),
            repr(secret),
            f"{secret}",
            f"{secret!r:>30}",
            f"{secret:>30}",
            "%s %r" % (secret, secret),  # noqa: UP031
            str(account),
            repr([account]),
            str(vars(type(secret))),
            formatEvent({"log_format": "{key} {account}", "key": secret, "account": account}),
        ):
            self.assertNotIn(KEY, text)
        self.assertEqual(str(secret), "***")

    def test_traceback(self) -> None:
        """A failure with the variables of every frame, as debuggers and crash reports show it, has no key (CFG-09)."""

        def use(secret: Secret) -> None:
            raise RuntimeError(f"cannot use {secret}")

        secret = Secret(token_hex(16))  # a constant would show as a variable of this module
        try:
            use(secret)
        except RuntimeError as error:
            report = "".join(
                traceback.TracebackException.from_exception(error, capture_locals=True).format()
            )
            report += Failure(error, captureVars=True).getTraceback(detail="verbose")
        self.assertIn("cannot use ***", report)
        self.assertNotIn(secret.reveal(), report)

    def test_storing(self) -> None:
        """A key cannot be pickled, copied apart or put in JSON by accident (CFG-09)."""
        secret = Secret(KEY)
        for store in (pickle.dumps, json.dumps):
            self.assertRaises(TypeError, store, secret)
        self.assertIs(copy.copy(secret), secret)
        self.assertIs(copy.deepcopy(Account(key=secret)).key, secret)

    def test_reveal(self) -> None:
        """The one who must send the key gets it; an empty one counts as none."""
        self.assertEqual(Secret(KEY).reveal(), KEY)
        self.assertTrue(Secret(KEY))
        self.assertFalse(Secret(""))

    def test_comparing(self) -> None:
        """Equal keys are equal, also as keys of a mapping; a key is never equal to text."""
        self.assertEqual(Secret(KEY), Secret(KEY))
        self.assertNotEqual(Secret(KEY), Secret(KEY + "x"))
        self.assertNotEqual(Secret(KEY), KEY)
        self.assertEqual(len({Secret(KEY), Secret(KEY), Secret("é")}), 2)

    def test_fingerprint(self) -> None:
        """Fingerprints tell keys and installations apart and do not contain the key (CFG-09)."""
        one = Secret(KEY).fingerprint(b"salt")
        self.assertEqual(one, Secret(KEY).fingerprint(b"salt"))
        self.assertNotEqual(one, Secret(KEY + "x").fingerprint(b"salt"))
        self.assertNotEqual(one, Secret(KEY).fingerprint(b"pepper"))
        self.assertRegex(one, "^[0-9a-f]{32}$")
        long = b"x" * 64
        self.assertNotEqual(
            Secret(KEY).fingerprint(long + b"a"), Secret(KEY).fingerprint(long + b"b")
        )

    def test_strange_text(self) -> None:
        """A key with half a surrogate pair, as broken JSON can give, does not crash anything."""
        strange = Secret("\ud800")
        self.assertNotEqual(strange, Secret(KEY))
        self.assertEqual(len(strange.fingerprint(b"salt")), 32)
