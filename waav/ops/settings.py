"""Settings of logs, of what watches the event loop, and of metrics."""

from dataclasses import dataclass

from waav.secret import Secret
from waav.settings import positive, setting


@dataclass(frozen=True, slots=True)
class LogSettings:
    """YAML section ``logging``."""

    level: str = setting(
        "info",
        "Least important level that is logged.",
        env="WAAV_LOG_LEVEL",
        choices=("debug", "info", "warn", "error", "critical"),
    )
    json: bool = setting(False, "One JSON object per line.", env="WAAV_LOG_JSON")


@dataclass(frozen=True, slots=True)
class DiagnosticsSettings:
    """YAML section ``diagnostics``: what the gateway tells of itself when it is slow."""

    stall_ms: int = setting(
        50,
        "What blocks the event loop for longer is logged with its stack; 0: nothing is.",
        unit="ms",
        check=lambda n: None if n == 0 or n >= 10 else "must be 0, or 10 or more",
    )
    stall_log_s: float = setting(
        60.0, "Least time between two such lines.", unit="s", check=positive
    )


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """YAML section ``metrics``: figures for Prometheus. Off unless ``listen`` or ``token`` is set."""

    listen: str | None = setting(
        None,
        "Twisted endpoint string of a listener for GET /metrics alone, such as tcp:9464:interface=127.0.0.1.",
        env="WAAV_METRICS_LISTEN",
    )
    token: Secret | None = setting(
        None,
        "Bearer token; with it GET /metrics is also answered on the gateway's own port. Asked for on both.",
        env="WAAV_METRICS_TOKEN",
    )

    @property
    def is_on(self) -> bool:
        """Whether anybody can read them."""
        return self.listen is not None or bool(self.token)
