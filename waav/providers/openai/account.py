"""Where OpenAI, or a vendor that speaks its protocol, is, and how it is told who asks."""

from urllib.parse import urlsplit

from waav.errors import check_all
from waav.providers.openai.options import LISTEN_OPTIONS, SPEAK_OPTIONS
from waav.speech import vendor_options
from waav.speech.account import api_key, base_address
from waav.speech.provider import Account

HOST = "https://api.openai.com"


def headers(account: Account) -> dict[str, str]:
    found = {"Authorization": f"Bearer {api_key(account, 'OpenAI')}"}
    # The server's organisation has nothing to do with a caller's own key.
    for name, header in (("organization", "Organization"), ("project", "Project")):
        value = account.credentials.get(name)
        if value and not account.is_callers_own:
            found[f"OpenAI-{header}"] = vendor_options.model_name("openai", str(value))
    return found


def base(account: Account) -> str:
    """Without the ``/v1`` that OPENAI_BASE_URL traditionally ends in."""
    return base_address(account, HOST).removesuffix("/v1")


def is_openai(address: str) -> bool:
    return urlsplit(address).hostname == "api.openai.com"


def check(account: Account) -> None:
    """Refuse wrong operator settings at start."""
    check_all(
        lambda: vendor_options.check("openai", (*LISTEN_OPTIONS, *SPEAK_OPTIONS), account.options),
        lambda: base_address(account, HOST),
    )
