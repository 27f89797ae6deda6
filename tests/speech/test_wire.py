"""What the words of a dialogue show of themselves."""

from twisted.trial.unittest import SynchronousTestCase

from waav.secret import Secret
from waav.speech.provider import Account
from waav.speech.wire import Opening, Request

KEY = "sk-very-secret-4711"


class ReprTests(SynchronousTestCase):
    def test_no_credential(self) -> None:
        """A request or an address that is printed in an error shows neither the key nor the text. (CFG-09, X-11)"""
        headers = {"authorization": f"Token {KEY}"}
        shown = [
            repr(Request("POST", "https://acme.example/speak", headers, b"what is said")),
            repr(Opening("wss://acme.example/listen", headers, ("token", KEY))),
            repr(Account(Secret(KEY), {"secret": Secret(KEY)})),
        ]
        for each in shown:
            self.assertNotIn(KEY, each)
            self.assertNotIn("what is said", each)
        self.assertIn("https://acme.example/speak", shown[0])
