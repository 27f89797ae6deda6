"""Where Deepgram is, and how it is told who asks."""

from waav.errors import check_all
from waav.providers.deepgram.options import OPERATORS
from waav.speech import vendor_options
from waav.speech.account import api_key, base_address
from waav.speech.provider import Account

HOST = "https://api.deepgram.com"


def authorization(account: Account) -> dict[str, str]:
    """A short-lived token (a JWT) is announced otherwise than a key."""
    key = api_key(account, "Deepgram")
    is_token = key.startswith("eyJ") and key.count(".") == 2
    return {"Authorization": f"{'Bearer' if is_token else 'Token'} {key}"}


def check(account: Account) -> None:
    """Refuse wrong operator settings at start."""
    check_all(
        lambda: vendor_options.check("deepgram", OPERATORS, account.options),
        lambda: base_address(account, HOST),
    )
