"""Everything the gateway raises on purpose.

Each error knows the HTTP status a caller sees for it, a stable machine-readable code, and whether the same
request may be tried again. Messages are written for the person who reads them: they name the setting or the
vendor concerned and never contain a key.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

E = TypeVar("E", bound=BaseException)


class WaavError(Exception):
    """Something went wrong that the gateway can explain."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(WaavError):
    """The caller asked for something that cannot be done as asked."""

    status = 400
    code = "bad_request"


class TooMany(WaavError):
    """The caller, or everybody together, asked for more than is allowed right now.

    Args:
        retry_after_s: seconds after which trying again is sensible.
    """

    status = 429
    code = "too_many_requests"
    retryable = True

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ConfigError(WaavError):
    """A setting is missing, unknown or wrong.

    Args:
        path: dotted name of the setting, for example ``providers.deepgram.api_key``.
    """

    code = "config_error"

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class SeveralConfigErrors(ConfigError):
    """Several settings are wrong; all of them are told at once.

    Args:
        errors: one for each.
    """

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__("; ".join(error.message for error in errors), errors[0].path)
        self.errors = tuple(errors)


def check_all(*checks: Callable[[], object]) -> None:
    """Make all checks, whatever became of the first.

    Raises:
        ConfigError: the one that a check raised, or ``SeveralConfigErrors``.
    """
    found: list[ConfigError] = []
    for check in checks:
        try:
            check()
        except SeveralConfigErrors as several:
            found += several.errors
        except ConfigError as error:
            found.append(error)
    if len(found) == 1:
        raise found[0]
    if found:
        raise SeveralConfigErrors(found)


class MissingCredentials(ConfigError):
    """A provider was asked for whose credentials nobody configured."""

    code = "missing_credentials"


class ModelMissing(ConfigError):
    """A model file is not there; ``waav init`` fetches it."""

    code = "model_missing"


class ProviderError(WaavError):
    """A vendor could not do what was asked.

    Args:
        provider: canonical name of the vendor.
        retry_after_s: what the vendor said about trying again, in seconds.
        upstream_status: the vendor's own HTTP status or WebSocket close code, when there was one.
    """

    status = 502
    code = "provider_error"

    def __init__(
        self,
        provider: str,
        message: str,
        *,
        retry_after_s: float | None = None,
        upstream_status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.retry_after_s = retry_after_s
        self.upstream_status = upstream_status


class ProviderRefused(ProviderError):
    """The vendor refused: wrong key, exhausted quota or settings it does not know. Never retried."""

    code = "provider_refused"


class ProviderBusy(ProviderError):
    """The vendor is overloaded or broken just now (408, 429, 499, 5xx)."""

    code = "provider_busy"
    retryable = True


class ProviderLost(ProviderError):
    """The connection to the vendor broke or could not be made."""

    code = "provider_lost"
    retryable = True


class ProviderTimeout(ProviderError):
    """The vendor did not answer in time."""

    status = 504
    code = "provider_timeout"
    retryable = True


class WireError(ProviderError):
    """The vendor said something that its documentation does not allow."""

    code = "provider_protocol_error"


_BUSY = frozenset({408, 409, 425, 429, 498, 499})


def refusal(
    provider: str,
    status: int,
    detail: str = "",
    retry_after_s: float | None = None,
) -> ProviderError:
    """The error for a vendor's HTTP answer that is not a success.

    Args:
        provider: canonical name of the vendor.
        status: the vendor's HTTP status, 300 or above.
        detail: what the vendor said, already free of keys; cut to 500 characters here.
        retry_after_s: parsed ``Retry-After`` in seconds.
    """
    said = detail.strip()
    if len(said) > 500:
        said = said[:500] + "... (truncated)"
    message = f"{provider} answered HTTP {status}" + (f": {said}" if said else "")
    kind = ProviderBusy if status in _BUSY or status >= 500 else ProviderRefused
    return kind(provider, message, retry_after_s=retry_after_s, upstream_status=status)


def untraced(error: E) -> E:
    """The same exception without the frames that it, and those it came of, passed through.

    Frames hold all they worked with; where a Deferred failed, that is the exception as well, and nobody but the
    garbage collector would find them. For exceptions whose way is over: answered, forgotten, or become an event.
    """
    rest: list[BaseException | None] = [error]
    while rest:
        one = rest.pop()
        if one is not None:
            rest += [one.__cause__, one.__context__]
            one.__traceback__ = one.__cause__ = one.__context__ = None
    return error
