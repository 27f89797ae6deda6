"""What providers could not do as asked: into the log, once per connection."""

from collections.abc import Callable

from twisted.logger import Logger


class Notes:
    """Logs each text once.

    Args:
        provider: whose texts they are.
        stream_id: of the call.
        noted: told of each text that is logged.
    """

    _log = Logger()

    def __init__(
        self, provider: str, stream_id: str, noted: Callable[[str], None] = lambda message: None
    ) -> None:
        self._noted = noted
        self._provider = provider
        self._stream_id = stream_id
        self._seen: set[str] = set()

    def take(self, message: str) -> None:
        """Log ``message`` unless it was logged before."""
        if message in self._seen:
            return
        self._seen.add(message)
        self._noted(message)
        self._log.warn(
            "{stream_id}: {provider} warns: {reason}",
            stream_id=self._stream_id,
            provider=self._provider,
            reason=message,
        )
