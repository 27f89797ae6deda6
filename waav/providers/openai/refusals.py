"""What OpenAI refuses, and whether asking again helps."""

import json
from collections.abc import Mapping

from waav.errors import ProviderBusy, ProviderError, ProviderRefused, refusal
from waav.speech import wire


def refused(head: wire.Head, body: bytes, key: str = "", model: str = "") -> ProviderError:
    """The error for OpenAI's answer: quota is never retried, ``x-should-retry`` is obeyed."""
    said, code = _error_text(body)
    if key:
        said = said.replace(key, "***")
    if model and (code == "model_not_found" or head.status == 410):
        said += f" (model {model} is unknown or retired; speech of retired models is only left in the Realtime API)"
    error = refusal("openai", head.status, said, _retry_after_s(head.headers))
    should_retry = head.headers.get("x-should-retry", "").lower()
    kind: type[ProviderError] = type(error)
    if code == "insufficient_quota" or should_retry == "false":
        kind = ProviderRefused
    elif should_retry == "true":
        kind = ProviderBusy
    return kind(
        "openai",
        error.message,
        retry_after_s=error.retry_after_s,
        upstream_status=error.upstream_status,
    )


def _error_text(body: bytes) -> tuple[str, str]:
    try:
        fields = json.loads(body)["error"]
        return str(fields["message"]), str(fields.get("code") or fields.get("type") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return body.decode("utf-8", "replace"), ""


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """OpenAI's own header in ms; the link reads the standard one."""
    try:
        return float(headers["retry-after-ms"]) / 1000
    except (KeyError, ValueError):
        return None
