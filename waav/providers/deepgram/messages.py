"""What both versions of recognition say, and how errors are meant."""

import json
from collections.abc import Mapping
from typing import Any

from waav.errors import ProviderBusy, ProviderError, ProviderRefused, WireError
from waav.speech import wire


def message(incoming: wire.Incoming) -> dict[str, Any]:
    if not isinstance(incoming, str):
        raise WireError("deepgram", "deepgram: listen answered with something other than text")
    body = json.loads(incoming)
    if not isinstance(body, dict):
        raise WireError("deepgram", "deepgram: listen answered with something other than an object")
    return body


def words(raw: Any, speaker: str | None) -> tuple[wire.Word, ...]:
    return tuple(
        wire.Word(
            word.get("punctuated_word") or word["word"],
            float(word["start"]),
            float(word["end"]),
            probability(word.get("confidence")),
            speaker if "speaker" not in word else str(word["speaker"]),
        )
        for word in raw
    )


def probability(value: Any) -> float:
    sure = float(value or 0.0)
    return min(1.0, max(0.0, sure)) if sure == sure else 0.0


def _said(body: Mapping[str, Any]) -> str:
    name = body.get("variant") or body.get("code") or "Error"
    return f"{name}: {body.get('description') or body.get('message') or 'no description'}"


def reported(body: Mapping[str, Any]) -> wire.Event:
    """A schema error spoils one message; every other error ends the stream."""
    if body.get("variant") == "SchemaError":
        return wire.Failed(ProviderRefused("deepgram", f"deepgram reported {_said(body)}"))
    raise broken(body)


def broken(body: Mapping[str, Any]) -> ProviderError:
    """NET codes are trouble on Deepgram's side and pass; the others would come again."""
    code = str(body.get("code") or body.get("variant") or "")
    kind = ProviderBusy if code.startswith(("NET", "INTERNAL")) else ProviderRefused
    return kind("deepgram", f"deepgram reported {_said(body)}")
