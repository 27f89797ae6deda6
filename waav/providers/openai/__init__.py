"""OpenAI: recognition of finished pieces of speech, and synthesis, both over HTTP.

Obeys https://platform.openai.com/docs/api-reference/audio, read November 2026. Many vendors implement the same
two calls: with an ``endpoint`` of somebody else, models and voices are not checked against OpenAI's lists.
The listed synthesis models close on 2027-01-06, whisper-1 and the gpt-4o-transcribe family on 2027-02-26.
"""

from waav.providers.openai.account import check
from waav.providers.openai.listen import LISTEN_MODEL, Listen
from waav.providers.openai.options import LISTEN_OPTIONS, SPEAK_OPTIONS
from waav.providers.openai.speak import SPEAK_MODEL, Speak
from waav.providers.openai.voices import Voices
from waav.speech import vendor_options
from waav.speech.provider import Credential, Provider

openai = Provider(
    "openai",
    title="OpenAI",
    aliases=("openai-whisper",),
    credentials=(
        Credential("api_key", "OPENAI_API_KEY", "openai_api_key", "OpenAI API key"),
        Credential(
            "organization",
            "OPENAI_ORG_ID",
            "openai_organization",
            "OpenAI organization",
            is_required=False,
            is_secret=False,
        ),
        Credential(
            "project",
            "OPENAI_PROJECT_ID",
            "openai_project",
            "OpenAI project",
            is_required=False,
            is_secret=False,
        ),
    ),
    listen=Listen,
    speak=Speak,
    voices=Voices,
    capabilities=frozenset({"batch", "words", "emotion", "speaking rate", "voice list"}),
    check=check,
    text_limit=4096,
    compressed=("opus", "mp3", "aac"),
    models={"listen": LISTEN_MODEL, "speak": SPEAK_MODEL},
    options=vendor_options.described(LISTEN_OPTIONS, SPEAK_OPTIONS),
)
