"""The voices there are."""

import json
from collections.abc import Mapping
from typing import Any

from waav.providers.deepgram.account import HOST, authorization
from waav.speech import languages, wire
from waav.speech.account import base_address
from waav.speech.provider import Account, Voice


class Voices:
    """The voices of ``GET /v1/models``."""

    def __init__(self, account: Account) -> None:
        self._url = f"{base_address(account, HOST)}/v1/models"
        self._headers = authorization(account)

    def first(self) -> wire.Request | None:
        return wire.Request("GET", self._url, self._headers)

    def read(self, body: bytes) -> tuple[list[Voice], wire.Request | None]:
        return [_voice_row(row) for row in json.loads(body)["tts"]], None


def _voice_row(row: Mapping[str, Any]) -> Voice:
    about = row.get("metadata") or {}
    spoken = row.get("languages") or []
    return Voice(
        str(row["canonical_name"]),
        str(row.get("name") or row["canonical_name"]),
        str(about.get("sample") or ""),
        str(about.get("accent") or "Unknown"),
        languages.gender(about.get("tags") or ()),
        languages.language_name(spoken[0]) if spoken else "Unknown",
    )
