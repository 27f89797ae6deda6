"""Deepgram: streaming recognition over WebSocket, synthesis over HTTP.

Obeys https://developers.deepgram.com/reference (listen-live, listen-flux, speak, models), read November 2026.
Models and voices named ``flux-*`` live on version 2 of either address, everything else on version 1.
"""

from waav.providers.deepgram.account import check
from waav.providers.deepgram.listen import LISTEN_MODEL, listen
from waav.providers.deepgram.options import FLUX_LISTEN_OPTIONS, FLUX_SPEAK_OPTIONS, LISTEN_OPTIONS
from waav.providers.deepgram.speak import SPEAK_MODEL, Speak
from waav.providers.deepgram.voices import Voices
from waav.speech import vendor_options
from waav.speech.provider import Credential, Provider

deepgram = Provider(
    "deepgram",
    title="Deepgram",
    credentials=(
        Credential("api_key", "DEEPGRAM_API_KEY", "deepgram_api_key", "Deepgram API key"),
    ),
    listen=listen,
    speak=Speak,
    voices=Voices,
    capabilities=frozenset(
        {"streaming", "interim results", "words", "diarization", "speaking rate", "voice list"}
    ),
    check=check,
    text_limit=2000,
    compressed=("opus", "mp3", "aac"),
    models={"listen": LISTEN_MODEL, "speak": SPEAK_MODEL},
    options=vendor_options.described(FLUX_LISTEN_OPTIONS, LISTEN_OPTIONS, FLUX_SPEAK_OPTIONS),
)
