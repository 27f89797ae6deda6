"""Settings of logs."""

from dataclasses import dataclass

from waav.settings import setting


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
