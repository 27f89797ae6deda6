"""What vendors do wrong, for the log: once per call and cause."""

from twisted.logger import Logger

from waav.errors import ProviderError
from waav.session.call_settings import CallSettings
from waav.session.summary import CallSummary


def log_trouble(
    log: Logger, summary: CallSummary, settings: CallSettings, error: ProviderError
) -> None:
    """Log an error with which a vendor spoiled something, unless this call has told of its kind before.

    The line has the call, the vendor, the kind of error, and the vendor's text without anybody's keys. What is tried
    again inside a link and works in the end is no trouble.
    """
    kind = type(error).__name__
    if not summary.is_new(error.provider, kind, error.code):
        return
    log.warn(
        "{stream_id}: {provider} {kind}: {reason}",
        stream_id=settings.stream_id,
        provider=error.provider,
        kind=kind,
        code=error.code,
        upstream_status=error.upstream_status or 0,
        reason=settings.masked(error.message),
    )
